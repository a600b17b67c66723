"""The reference of the limits says what the code says, and names tests that are there."""

import ast

from tests.limits_reference import PAGE, ROOT, limits, with_table


def test_the_table_is_fresh() -> None:
    """Written again by `python -m tests.limits_reference`."""
    page = PAGE.read_text()
    assert page == with_table(page), "stale. Fix: python -m tests.limits_reference"


def test_every_limit_has_a_test_at_its_edge() -> None:
    """Whoever renames one has to say which test stands there now."""
    for limit in limits():
        assert limit.tests, limit.of
        for place in limit.tests:
            path, _, name = place.partition("::")
            tree = ast.parse((ROOT / path).read_text())
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert name in functions, place
