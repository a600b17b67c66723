"""A walk goes on where it stands: the work of one decision grows with the items, and not with their square."""

import sys
from collections.abc import Callable

import msgspec
import pytest

from saga.core import inputs as i
from saga.core.blocks import Await, Block, Branch, Each, Join, Parallel, When
from saga.core.expression import Compare, Literal, Ref, ScalarType
from saga.core.plan import Plan
from tests.builders import Case, plan, raw, step

FEW, MANY = 30, 120
NEVER = Compare("eq", ScalarType.INT, Literal(raw("1")), Literal(raw("0")))


def skipped(path: str) -> When:
    return When(path=path, condition=NEVER, then=(step(f"{path}/s"),))


def each(*body: Block, path: str = "m", source: str = "input", window: int = 1_000) -> Each:
    items = Ref(source, ("items",), ScalarType.LIST)
    return Each(path=path, items=items, limit=1_000, window=window, body=body)


def beside(path: str, *bodies: Block, join: Join = Join.ALL) -> Parallel:
    branches = tuple(Branch(path=f"{path}/{n}", body=(body,)) for n, body in enumerate(bodies))
    return Parallel(path=path, branches=branches, join=join)


def calls(work: Callable[[], object]) -> int:
    """How many functions some work calls: its cost, whatever the machine does meanwhile."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def waiting(of: Plan, items: int) -> Case:
    """A saga that is about to reach its items."""
    inner = {"items": [0, 0, 0]}
    return Case(of, input=msgspec.json.encode({"id": "o1", "items": [inner] * items}))


SHAPES = {
    "items that are skipped": plan(step("a"), each(skipped("m/if"), window=10)),
    "items in items": plan(step("a"), each(each(skipped("m/n/if"), path="m/n", source="m"))),
    "items with a command each": plan(step("a"), each(step("m/s"))),
    "items that wait for three signals": plan(
        step("a"), each(beside("m/p", *(Await(path=f"m/p/{n}/w", signal="s") for n in range(3))))
    ),
    "items in a race": plan(
        step("a"), beside("r", each(step("r/0/m/s"), path="r/0/m"), Await(path="r/1/w", signal="s"), join=Join.ANY)
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_decision_costs_grows_with_the_items(shape: str) -> None:
    """Four times the items are no more than about four times the work."""
    few, many = waiting(SHAPES[shape], FEW), waiting(SHAPES[shape], MANY)
    assert calls(lambda: many.ok("a")) < 6 * calls(lambda: few.ok("a"))


@pytest.mark.parametrize("shape", ["items with a command each", "items in a race"])
def test_what_a_cancel_costs_grows_with_the_items(shape: str) -> None:
    """Whatever is in flight is undone in one pass."""
    few, many = waiting(SHAPES[shape], FEW), waiting(SHAPES[shape], MANY)
    cancel = i.Cancel(now=few.now, request="c", by="shop", actor=None, reason="r")
    assert len(few.ok("a")) < len(many.ok("a"))
    assert calls(lambda: many.when(cancel)) < 6 * calls(lambda: few.when(cancel))
    assert len(many.commits[-1]) > MANY
