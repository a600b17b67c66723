"""The reference of the wire says what the code says."""

from saga.conform import RULES
from tests.wire_reference import PAGE, with_tables


def test_the_tables_are_fresh() -> None:
    """Written again by `make docs`."""
    page = PAGE.read_text()
    assert page == with_tables(page), "stale. Fix: make docs"


def test_every_rule_names_a_place_that_is_there() -> None:
    """A finding sends its reader to a heading, or to a numbered duty of a participant."""
    page = PAGE.read_text()
    for rule in RULES:
        heading, _, number = rule.place.partition(" ")
        if number.isdecimal():
            assert f"\n## {heading}\n" in page
            assert f"\n{number}. " in page.partition(f"\n## {heading}\n")[2], rule.place
        else:
            assert f"\n## {rule.place}\n" in page, rule.place
