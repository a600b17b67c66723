"""The window of an `each`: who takes up a place, and who makes room for the next item."""

import pytest

from saga.core.blocks import Each, OnBranchFailed, OnExhausted, RetryPolicy
from saga.core.expression import Literal
from saga.core.outstanding import outstanding
from saga.core.plan import Plan
from saga.core.state import Phase
from tests.builders import Case, plan, raw, step

ITEMS = Literal(raw("[1,2,3]"))


def finishing(window: int) -> Plan:
    """Three items; one that fails lets the others come to their end."""
    tried = step("m/s", retry=RetryPolicy(attempts=1), on_exhausted=OnExhausted.COMPENSATE)
    each = Each(path="m", items=ITEMS, limit=3, window=window, on_failed=OnBranchFailed.FINISH, body=(tried,))
    return plan(each)


def undone(case: Case) -> list[str]:
    assert case.state.phase is Phase.COMPENSATING
    return [due.message.path for due in outstanding(case.plan, case.state)]


@pytest.mark.parametrize("window", [1, 2])
def test_an_item_that_failed_makes_room_where_the_others_are_to_finish(window: int) -> None:
    """Every item is begun before the failure counts, also when the window is as small as one."""
    case = Case(finishing(window))
    case.failed("m[0]/s")
    case.failed("m[1]/s")
    assert case.state.phase is Phase.RUNNING
    case.ok("m[2]/s")
    assert undone(case) == ["m[2]/s"]


def test_an_item_that_may_still_be_under_way_keeps_its_place() -> None:
    """What is exhausted may be answered late: then there would be more under way than the window."""
    case = Case(finishing(window=1))
    case.tick(31)
    assert undone(case) == ["m[0]/s"]
