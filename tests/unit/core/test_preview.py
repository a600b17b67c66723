"""The preview of a compensation: what is undone, what side by side, and that it is what then happens."""

import pytest

from saga.core import inputs as i
from saga.core.children import SERVICE
from saga.core.definition import Branch, Each, Parallel, StepKind
from saga.core.expression import Object, Ref, ScalarType
from saga.core.messages import Outcome
from saga.core.outstanding import outstanding
from saga.core.preview import preview
from tests.builders import Case, plan, step, template

SIDES = Parallel(
    path="both", branches=(Branch(path="one", body=(step("b"), step("c"))), Branch(path="two", body=(step("d"),)))
)


def stages(case: Case) -> list[list[str]]:
    """Paths, stage by stage."""
    return [[undo.path for undo in stage] for stage in preview(case.plan, case.state, case.now).stages]


def undone(case: Case) -> list[list[str]]:
    """What a cancel really leads to, when all undos of a stage are answered before the next."""
    case.when(i.Cancel(now=case.now, request="r", by="operator", actor="olga", reason="r"))
    found = []
    while commands := [due.message for due in outstanding(case.plan, case.state)]:
        found.append(sorted(command.path for command in commands))
        for command in commands:
            case.answer(command, Outcome.OK, effect="applied")
    return found


def test_a_sequence_is_undone_backwards() -> None:
    """What is unfinished comes first; nothing is written or sent."""
    case = Case(plan(step("a"), step("b"), step("c")))
    case.ok("a")
    case.ok("b")
    before = case.state
    found = preview(case.plan, case.state, case.now)
    assert found.takes_effect == "now"
    assert [[(undo.path, undo.outcome) for undo in stage] for stage in found.stages] == [
        [("c", "unknown")],
        [("b", "ok")],
        [("a", "ok")],
    ]
    assert found.stages[0][0].command == "c-service.UndoC.v1"
    assert bytes(found.stages[0][0].body) == b'{"order":"o1"}'
    assert case.state is before
    assert undone(case) == [["c"], ["b"], ["a"]]


def test_branches_are_undone_side_by_side() -> None:
    """As many stages as the longest branch needs."""
    case = Case(plan(step("a"), SIDES, step("e")))
    for path in ("a", "b", "c", "d"):
        case.ok(path)
    found = stages(case)
    assert found == [["e"], ["c", "d"], ["b"], ["a"]]
    assert undone(case) == found


def test_items_are_undone_with_their_window() -> None:
    """No more at once than went forward at once."""
    seats = Each(
        path="seats", items=Ref("input", ("seats",), ScalarType.OBJECT), limit=9, window=2, body=(step("seats/add"),)
    )
    case = Case(plan(seats, step("z")), input=b'{"id":"o1","seats":[1,2,3]}')
    for index in range(3):
        case.ok(f"seats[{index}]/add")
    assert sorted(map(len, stages(case))) == [1, 1, 2]
    assert stages(case)[0] == ["z"]


def test_a_child_is_one_unit() -> None:
    """However much is in it."""
    ask, undo = template(SERVICE, "inner"), template(SERVICE, "inner", body=Object({}))
    case = Case(plan(step("access", command=ask, undo=undo), step("b")))
    case.ok("access", sender=SERVICE)
    (_, (child,)) = preview(case.plan, case.state, case.now).stages
    assert (child.path, child.command, child.child) == ("access", "saga.inner.v1", True)


def test_what_parks_is_shown_and_the_rest_too() -> None:
    """An undo that cannot be built stands in front of a person; what follows it is listed as if it was solved."""
    broken = template("b-service", "UndoB", body=Object({"id": Ref("b", ("gone",), ScalarType.STR)}))
    case = Case(plan(step("a"), step("b", undo=broken), step("c")))
    case.ok("a")
    case.ok("b")
    found = preview(case.plan, case.state, case.now).stages
    assert [[undo.path for undo in stage] for stage in found] == [["c"], ["b"], ["a"]]
    assert found[1][0].parks.startswith("evaluation: the undo of b cannot be built")


def test_what_is_left_of_a_compensation() -> None:
    """Asked while it is under way."""
    case = Case(plan(step("a"), step("b"), step("c")))
    case.ok("a")
    case.ok("b")
    case.when(i.Cancel(now=case.now, request="r", by="operator", actor="olga", reason="r"))
    case.ok("c")
    found = preview(case.plan, case.state, case.now)
    assert found.takes_effect == "under-way"
    assert stages(case) == [["b"], ["a"]]


@pytest.mark.parametrize(("answered", "effect"), [(False, "if-pivot-fails"), (True, "too-late")])
def test_the_pivot_is_the_end_of_it(*, answered: bool, effect: str) -> None:
    """Undecided it may still fail; behind it nothing is undone."""
    case = Case(plan(step("a"), step("p", StepKind.PIVOT), step("z", StepKind.RETRYABLE)))
    case.ok("a")
    if answered:
        case.ok("p")
    found = preview(case.plan, case.state, case.now)
    assert found.takes_effect == effect
    assert stages(case) == ([] if answered else [["a"]])


def test_an_ended_saga_has_nothing_to_preview() -> None:
    """Completed is completed."""
    case = Case(plan(step("a")))
    case.ok("a")
    assert preview(case.plan, case.state, case.now).takes_effect == "ended"
