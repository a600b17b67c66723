"""Branches, items and turns: what runs side by side, what runs again, and how it is undone."""

from datetime import timedelta
from typing import Any

import pytest

from saga.core import inputs as i
from saga.core.blocks import (
    LIMIT,
    Attempt,
    Block,
    Branch,
    Each,
    Join,
    OnBranchFailed,
    OnUndoFailed,
    Parallel,
    Repeat,
    RetryPolicy,
    StepKind,
)
from saga.core.events import ParkCode
from saga.core.expression import Collect, Compare, Literal, Object, Ref, ScalarType
from saga.core.messages import Kind, Outcome
from saga.core.outstanding import outstanding
from saga.core.state import Phase
from tests.builders import Case, names, plan, raw, step, template

ONCE = RetryPolicy(attempts=1)
ITEMS = Ref("input", ("seats",), ScalarType.LIST)
SEATS = b'{"id":"o1","seats":[{"email":"a"},{"email":"b"},{"email":"c"}]}'


def parallel(*branches: tuple[Block, ...], **changes: Any) -> Parallel:
    """Branches named `left`, `right`, ... ."""
    named = zip(("left", "right", "middle"), branches, strict=False)
    return Parallel(path="both", branches=tuple(Branch(path=name, body=body) for name, body in named), **changes)


def seats(*body: Block, **changes: Any) -> Each:
    """The body for every seat of the input."""
    fields: dict[str, Any] = {"path": "seats", "items": ITEMS, "limit": 3, "window": 2, "body": body}
    return Each(**{**fields, **changes})


def on_wire(case: Case) -> list[str]:
    """What is outstanding: `undo a` for a compensation."""
    found = [due.message for due in outstanding(case.plan, case.state)]
    return sorted(("undo " if m.kind is Kind.COMPENSATION else "") + m.path for m in found)


def cancel(case: Case) -> None:
    """Somebody cancels."""
    case.when(i.Cancel(now=case.now, request="c", by="shop", actor=None, reason="r"))


def test_branches_run_side_by_side_and_join() -> None:
    """Both first steps are asked at once; what follows the block waits for both."""
    case = Case(plan(parallel((step("a"),), (step("b"), step("c"))), step("after")))
    assert on_wire(case) == ["a", "b"]
    case.ok("b")
    assert on_wire(case) == ["a", "c"]
    case.ok("c")
    assert on_wire(case) == ["a"]
    case.ok("a")
    assert on_wire(case) == ["after"]


def test_a_failing_branch_stops_the_others_and_what_is_in_flight_is_undone_first() -> None:
    """The sibling in flight is unknown: it is undone before anything that is known to be done."""
    case = Case(plan(step("first"), parallel((step("a"), step("a2")), (step("b"),))))
    case.ok("first")
    case.ok("a")
    assert on_wire(case) == ["a2", "b"]
    case.failed("b")
    assert on_wire(case) == ["undo a2"]
    case.ok("a2")
    assert on_wire(case) == ["undo a"]
    case.ok("a")
    assert on_wire(case) == ["undo first"]
    assert names(case.ok("first"))[-1] == "SagaCompensated"


def test_branches_are_undone_side_by_side_each_backwards() -> None:
    """Two finished branches: the last step of each at once, and what was before the block only after both."""
    case = Case(plan(step("first"), parallel((step("a"), step("a2")), (step("b"),)), step("last")))
    for path in ("first", "a", "a2", "b"):
        case.ok(path)
    case.failed("last")
    assert on_wire(case) == ["undo a2", "undo b"]
    case.ok("b")
    assert on_wire(case) == ["undo a2"]
    case.ok("a2")
    assert on_wire(case) == ["undo a"]
    case.ok("a")
    assert on_wire(case) == ["undo first"]


def test_the_others_may_finish_before_the_block_fails() -> None:
    """With `finish` nothing is unknown: the sibling goes on to its end, and then all is undone."""
    case = Case(plan(parallel((step("a"),), (step("b"), step("c")), on_failed=OnBranchFailed.FINISH)))
    case.failed("a")
    assert on_wire(case) == ["b"]
    case.ok("b")
    assert on_wire(case) == ["c"]
    assert case.state.phase is Phase.RUNNING
    case.ok("c")
    assert on_wire(case) == ["undo c"]


def test_one_branch_is_enough_and_the_others_are_undone_before_it_goes_on() -> None:
    """The loser in flight is unknown, so it is undone; an answer to it changes nothing any more."""
    case = Case(plan(parallel((step("a"),), (step("b"), step("c")), join=Join.ANY), step("after")))
    case.ok("b")
    events = case.ok("a")
    assert names(events)[:2] == ["StepSucceeded a", "BranchChosen both"]
    assert on_wire(case) == ["undo c"]
    case.ok("c")
    assert on_wire(case) == ["undo b"]
    case.ok("b")
    assert on_wire(case) == ["after"]


def parked(case: Case, path: str) -> None:
    """Nobody answers, and it may be tried once."""
    case.answer(case.sent(path), Outcome.RETRY, code="unavailable")
    assert case.state.parked[path].code is ParkCode.EXHAUSTED


def test_what_is_parked_in_a_branch_that_is_given_up_is_undone_as_unknown() -> None:
    """Nobody needs to look at it any more: the other branch has won."""
    case = Case(plan(parallel((step("a"),), (step("b"), step("c", retry=ONCE)), join=Join.ANY), step("after")))
    case.ok("b")
    parked(case, "c")
    events = case.ok("a")
    assert names(events)[:2] == ["StepSucceeded a", "BranchChosen both"]
    assert case.state.parked == {}
    assert on_wire(case) == ["undo c"]
    case.ok("c")
    case.ok("b")
    assert on_wire(case) == ["after"]


def test_what_is_parked_elsewhere_stays_parked() -> None:
    """Giving a block up says nothing about its siblings, nor about what follows it."""
    trying = Attempt(path="try", on=("Declined",), body=(step("x"), step("y")), otherwise=(step("z"),))
    case = Case(plan(parallel((trying,), (step("b", retry=ONCE),))))
    parked(case, "b")
    case.ok("x")
    case.failed("y")
    assert list(case.state.parked) == ["b"]
    assert on_wire(case) == ["undo x"]


def test_an_attempt_gives_up_what_is_parked_in_it() -> None:
    """Sibling branches of an attempt: one fails, the other stands in front of a person who is not needed any more."""
    both = parallel((step("x"), step("y", retry=ONCE)), (step("b"),))
    case = Case(plan(Attempt(path="try", on=("Declined",), body=(both,), otherwise=(step("z"),))))
    case.ok("x")
    parked(case, "y")
    case.failed("b")
    assert case.state.parked == {}
    assert on_wire(case) == ["undo y"]
    case.ok("y")
    case.ok("x")
    assert on_wire(case) == ["z"]


def test_an_undo_that_is_parked_stays_in_front_of_a_person() -> None:
    """It still has to be settled: the block that is given up around it waits for that."""
    inner = Attempt(path="in", on=("Declined",), body=(step("x"), step("y")), otherwise=(step("z"),))
    outer = parallel((inner,), (step("b"),))
    case = Case(plan(Attempt(path="out", on=("Declined",), body=(outer,), otherwise=(step("w"),))))
    case.ok("x")
    case.failed("y")
    case.answer(case.sent("x"), Outcome.REFUSED, code="in-doubt")
    case.failed("b")
    assert list(case.state.parked) == ["x"]
    assert on_wire(case) == []


def test_any_fails_only_when_every_branch_failed() -> None:
    """A failed branch leaves the others their chance."""
    case = Case(plan(parallel((step("a"),), (step("b"),), join=Join.ANY)))
    case.failed("a")
    assert case.state.phase is Phase.RUNNING
    assert names(case.failed("b"))[-1] == "SagaCompensated"


def test_an_attempt_in_a_branch_is_undone_while_the_sibling_goes_on() -> None:
    """Taking another way concerns one branch."""
    trying = Attempt(path="try", on=("Declined",), body=(step("x"), step("y")), otherwise=(step("z"),))
    case = Case(plan(parallel((trying,), (step("b"), step("c")))))
    case.ok("x")
    case.failed("y")
    assert on_wire(case) == ["b", "undo x"]
    case.ok("b")
    assert on_wire(case) == ["c", "undo x"]
    case.ok("x")
    assert on_wire(case) == ["c", "z"]


def test_an_attempt_around_branches_undoes_all_of_them() -> None:
    """One branch fails, the block gives up: the unknown sibling is undone first, then the other way is taken."""
    both = parallel((step("a"), step("a2")), (step("b"),))
    case = Case(plan(Attempt(path="try", on=("Declined",), body=(both,), otherwise=(step("z"),))))
    case.ok("a")
    case.failed("b")
    assert on_wire(case) == ["undo a2"]
    case.ok("a2")
    case.ok("a")
    assert on_wire(case) == ["z"]


def seat_step(path: str = "seats/add", **changes: Any) -> Any:
    """A step that reads its item."""
    body = Object({"email": Ref("seats", ("email",), ScalarType.STR)})
    return step(path, service="crm", command=template("crm", "Add", body=body), **changes)


def test_every_item_runs_at_its_index_within_the_window() -> None:
    """The list is frozen at the start; two at once; the path says which item."""
    case = Case(plan(seats(seat_step()), reads={"input.id": "str", "seats.email": "str"}), input=SEATS)
    assert names(case.commits[0])[:2] == ["SagaStarted", "MapStarted seats"]
    assert on_wire(case) == ["seats[0]/add", "seats[1]/add"]
    assert case.sent("seats[1]/add").body == b'{"email":"b"}'
    case.ok("seats[1]/add")
    assert on_wire(case) == ["seats[0]/add", "seats[2]/add"]


def test_the_replies_of_all_items_are_collected_in_order() -> None:
    """What comes back is in the order of the list, whoever was faster."""
    licences = Object({"all": Collect("seats", Ref("seats/add", ("id",), ScalarType.STR))})
    case = Case(plan(seats(seat_step()), output=licences), input=SEATS)
    for index, licence in ((1, "B"), (0, "A"), (2, "C")):
        case.ok(f"seats[{index}]/add", b'{"id":"%s"}' % licence.encode())
    assert case.state.output == b'{"all":["A","B","C"]}'


def test_a_step_of_an_item_reads_the_reply_of_its_own_item() -> None:
    """References inside the block mean the same item, also in an undo."""
    told = Object({"id": Ref("seats/add", ("id",), ScalarType.STR)})
    tell = step("seats/tell", command=template("mail", "Tell", body=told), undo=None, no_undo="a mail")
    add = seat_step(undo=template("crm", "Remove", body=told))
    case = Case(plan(seats(add, tell)), input=SEATS)
    case.ok("seats[0]/add", b'{"id":"A"}')
    case.ok("seats[1]/add", b'{"id":"B"}')
    assert case.sent("seats[1]/tell").body == b'{"id":"B"}'
    case.failed("seats[1]/tell")
    assert on_wire(case) == ["undo seats[0]/add", "undo seats[1]/add"]
    assert case.sent("seats[0]/add").body == b'{"id":"A"}'


def test_only_the_items_that_happened_are_undone() -> None:
    """Item 2 was never asked for: nothing to undo there."""
    case = Case(plan(seats(seat_step(), window=1)), input=SEATS)
    case.ok("seats[0]/add")
    case.failed("seats[1]/add")
    assert on_wire(case) == ["undo seats[0]/add"]
    assert names(case.ok("seats[0]/add"))[-1] == "SagaCompensated"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id":"o1","seats":[{"email":"a"},{"email":"b"},{"email":"c"},{"email":"d"}]}', "4 items"),
        (b'{"id":"o1","seats":{"email":"a"}}', "no list"),
        (b'{"id":"o1"}', "seats"),
        (b'{"id":"o1","seats":[{"email":"a"},{}]}', "seats[1]"),
        (b'{"id":"o1","seats":[{"email":"a"},{"email":"b"},{"email":"a"}]}', "items 0 and 2 have the same key"),
    ],
)
def test_items_that_cannot_be_run_over_park_the_saga(body: bytes, reason: str) -> None:
    """Too many, no list, without what is read, or not distinct: a person sees why, and nothing was asked."""
    key = Ref("seats", ("email",), ScalarType.STR)
    case = Case(plan(seats(seat_step(), key=key), reads={"seats.email": "str"}), input=body)
    assert on_wire(case) == []
    assert reason in case.state.parked["seats"].text


def test_an_empty_list_is_through_at_once() -> None:
    """No items, nothing to wait for."""
    assert Case(plan(seats(seat_step())), input=b'{"id":"o1","seats":[]}').state.phase is Phase.COMPLETED


def again(limit: int = 3, pause: timedelta | None = None) -> Repeat:
    """Until the reply says so."""
    good = Compare("eq", ScalarType.BOOL, Ref("draft/write", ("good",), ScalarType.BOOL), Literal(raw("true")))
    return Repeat(path="draft", until=good, limit=limit, pause=pause, body=(step("draft/write"),))


def test_a_loop_turns_until_its_condition_holds() -> None:
    """Each turn has a path of its own; what follows reads the last one."""
    then = step("send", command=template("mail", "Send", body=Ref("draft/write", ("text",), ScalarType.STR)))
    case = Case(plan(again(), then))
    case.ok("draft#1/write", b'{"good":false,"text":"one"}')
    assert on_wire(case) == ["draft#2/write"]
    case.ok("draft#2/write", b'{"good":true,"text":"two"}')
    assert case.sent("send").body == b'"two"'


def test_a_loop_is_bounded() -> None:
    """Turns used up are a failure that an attempt may catch; all turns are undone, the last one first."""
    case = Case(plan(Attempt(path="try", on=(LIMIT,), body=(again(limit=2),), otherwise=(step("give-up"),))))
    for turn in (1, 2):
        case.ok(f"draft#{turn}/write", b'{"good":false}')
    assert on_wire(case) == ["undo draft#2/write"]
    case.ok("draft#2/write")
    assert on_wire(case) == ["undo draft#1/write"]
    case.ok("draft#1/write")
    assert on_wire(case) == ["give-up"]


def test_a_loop_that_used_up_its_turns_after_the_pivot_has_as_many_again_once_released() -> None:
    """Nothing else could move it: it is not undone, and no other way is left. Each release counts anew."""
    case = Case(plan(step("book", StepKind.PIVOT), again(limit=2), step("last", StepKind.RETRYABLE)))
    case.ok()
    for turn in (1, 3):
        case.ok(f"draft#{turn}/write", b'{"good":false}')
        case.ok(f"draft#{turn + 1}/write", b'{"good":false}')
        assert case.state.parked["draft"].code is ParkCode.LATE
        released = i.Resolve(now=case.now, path="draft", verdict=i.Verdict.RETRY, actor="olga", reason="longer")
        assert names(case.when(released)) == ["StepReleased draft", f"CommandIssued draft#{turn + 2}/write"]
    assert names(case.ok(body=b'{"good":true}')) == [
        "StepSucceeded draft#5/write",
        "LoopTurned draft",
        "CommandIssued last",
    ]


def test_a_pause_between_turns_is_a_wait() -> None:
    """The next turn begins when the time is up, and not before."""
    case = Case(plan(again(pause=timedelta(minutes=5))))
    case.ok("draft#1/write", b'{"good":false}')
    assert on_wire(case) == []
    assert case.tick(299) == ()
    case.tick(1)
    assert on_wire(case) == ["draft#2/write"]


def test_blocks_nest() -> None:
    """Branches inside items inside a branch: every step has its place, and all of it is undone."""
    inner = Parallel(
        path="seats/pair",
        branches=(
            Branch(path="seats/one", body=(seat_step("seats/add"),)),
            Branch(path="seats/two", body=(seat_step("seats/tag"),)),
        ),
    )
    case = Case(plan(parallel((seats(inner),), (step("b"),)), step("last")), input=SEATS)
    for index in range(3):
        case.ok(f"seats[{index}]/tag")
        case.ok(f"seats[{index}]/add")
    case.ok("b")
    case.failed("last")
    assert on_wire(case) == ["undo b", *(f"undo seats[{n}]/{what}" for n in (0, 1) for what in ("add", "tag"))]
    for path in ("b", "seats[0]/add", "seats[0]/tag"):
        case.ok(path)
    assert on_wire(case) == [f"undo seats[{n}]/{what}" for n in (1, 2) for what in ("add", "tag")]


def test_no_pivot_is_overtaken() -> None:
    """A branch that fails after the pivot parks; its sibling goes on."""
    case = Case(
        plan(
            step("book", StepKind.PIVOT),
            parallel((step("a", StepKind.RETRYABLE),), (step("b", StepKind.RETRYABLE), step("c", StepKind.RETRYABLE))),
        )
    )
    case.ok("book")
    case.failed("a")
    assert on_wire(case) == ["b"]
    case.ok("b")
    assert on_wire(case) == ["c"]
    assert "a" in case.state.parked


def test_a_turn_that_was_passed_over_waits_for_the_undo_under_way() -> None:
    """Released while an earlier turn is undone, the later one does not begin beside it."""
    write = step("draft/write", on_undo_failed=OnUndoFailed.CONTINUE)
    good = Compare("eq", ScalarType.BOOL, Ref("draft/write", ("good",), ScalarType.BOOL), Literal(raw("true")))
    case = Case(plan(Repeat(path="draft", until=good, limit=3, body=(write,)), step("last")))
    case.ok("draft#1/write", b'{"good":false}')
    case.ok("draft#2/write", b'{"good":true}')
    case.failed("last")
    case.failed("draft#2/write")
    assert on_wire(case) == ["undo draft#1/write"]
    case.when(i.Resolve(now=case.now, path="draft#2/write", verdict=i.Verdict.RETRY, actor="olga", reason="mended"))
    assert on_wire(case) == ["undo draft#1/write"]
    case.ok("draft#1/write")
    assert on_wire(case) == ["undo draft#2/write"]
