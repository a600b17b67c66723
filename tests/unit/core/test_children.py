"""A child saga towards its parent: whom it answers, with what, and how it is undone as one unit."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga.core import inputs as i
from saga.core.children import COMPENSATED, SERVICE, TIMEOUT, answer
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.core.outstanding import asked_again, next_wake, outstanding, waits
from saga.core.state import Phase
from tests.builders import NOW, Case, after, names, plan, step, template

WEEK = timedelta(days=7)
PARENT = "01930000-0000-7000-8000-0000000000ff"


def link(kind: Kind = Kind.ACTION, execution: int = 1, attempt: int = 1) -> i.ParentOf:
    return i.ParentOf(saga=PARENT, root=PARENT, path="access", kind=kind, execution=execution, attempt=attempt)


def child(**changes: Any) -> Case:
    """A child of two steps that was just asked for."""
    return Case(plan(step("a"), step("b")), **{"parent": link(), **changes})


def asks(case: Case, kind: Kind, execution: int = 1, attempt: int = 1, *, wait: bool = False) -> list[str]:
    """The parent's command arrives."""
    given = i.ParentAsks(now=case.now, path="access", kind=kind, execution=execution, attempt=attempt, wait=wait)
    return names(case.when(given))


def told(case: Case) -> tuple[Kind, Outcome, ReplyEffect, str]:
    """What the parent hears."""
    found = answer(case.state)
    assert found is not None
    return found.asked.kind, found.outcome, found.effect, found.code


def test_a_child_knows_its_parent_and_its_root() -> None:
    """Both are recorded with its start."""
    state = child().state
    assert (state.parent, state.root) == (PARENT, PARENT)
    assert answer(state) is None


def test_the_end_of_a_child_is_the_answer() -> None:
    """Completed: ok with its output; undone by itself: the declared refusal; abandoned: in doubt."""
    case = child()
    case.ok("a")
    case.ok("b")
    assert told(case) == (Kind.ACTION, Outcome.OK, ReplyEffect.APPLIED, "")
    assert answer(case.state).body == b'{"order":"o1"}'  # type: ignore[union-attr]  # told() found one
    case = child()
    case.failed("a")
    assert told(case) == (Kind.ACTION, Outcome.FAILED, ReplyEffect.NONE, COMPENSATED)
    case = child()
    case.when(i.Abandon(now=case.now, actor="olga", reason="r"))
    assert told(case) == (Kind.ACTION, Outcome.REFUSED, ReplyEffect.NONE, "in-doubt")


def test_a_running_child_is_cancelled_by_its_parents_undo() -> None:
    """It undoes what it did, and its end answers the undo."""
    case = child()
    case.ok("a")
    assert asks(case, Kind.COMPENSATION)[:2] == ["ParentAsked access", "CancelRequested"]
    case.ok("b")
    case.ok("a")
    assert told(case) == (Kind.COMPENSATION, Outcome.OK, ReplyEffect.APPLIED, "")


def test_a_completed_child_is_undone_as_one_unit() -> None:
    """The one way out of an end; asked twice, it is undone once."""
    case = child()
    case.ok("a")
    case.ok("b")
    assert asks(case, Kind.COMPENSATION)[1] == "CompensationStarted"
    assert asks(case, Kind.COMPENSATION) == []
    assert [due.message.path for due in outstanding(case.plan, case.state)] == ["b"]
    case.ok("b")
    case.ok("a")
    assert case.state.phase is Phase.COMPENSATED
    assert told(case)[:2] == (Kind.COMPENSATION, Outcome.OK)


def test_an_undo_may_wait_for_the_end() -> None:
    """A running child goes on, and is undone when it is complete."""
    case = child()
    asks(case, Kind.COMPENSATION, wait=True)
    case.ok("a")
    assert case.state.phase is Phase.RUNNING
    assert "CompensationStarted" in names(case.ok("b"))


@pytest.mark.parametrize("attempts", [(1, 1), (2, 1)])
def test_asking_again_is_heard_once(attempts: tuple[int, int]) -> None:
    """The same or an older attempt is no event."""
    case = child(parent=link(attempt=attempts[0]))
    assert asks(case, Kind.ACTION, attempt=attempts[1]) == []
    assert asks(case, Kind.ACTION, attempt=3) == ["ParentAsked access"]


def test_an_action_after_its_undo_asks_for_nothing() -> None:
    """The answer stays that to the undo."""
    case = child()
    asks(case, Kind.COMPENSATION)
    assert asks(case, Kind.ACTION, attempt=2) == []


def test_a_child_that_is_undone_before_it_began_never_begins() -> None:
    """A tombstone: the undo is answered with nothing, and a start that arrives later is refused."""
    case = child(parent=link(Kind.COMPENSATION), tombstone=True)
    assert names(case.commits[0]) == ["SagaStarted", "ParentAsked access", "SagaAbandoned"]
    assert case.state.tombstone
    assert told(case) == (Kind.COMPENSATION, Outcome.OK, ReplyEffect.NONE, "")
    assert asks(case, Kind.ACTION) == []
    assert asks(case, Kind.COMPENSATION, attempt=2) == ["ParentAsked access"]
    assert told(case) == (Kind.COMPENSATION, Outcome.OK, ReplyEffect.NONE, "")


def test_nobody_else_is_a_parent() -> None:
    """A saga without a parent is not undone by a message that claims to be its parent's."""
    case = Case(plan(step("a")))
    assert asks(case, Kind.COMPENSATION) == []
    assert case.now == NOW


def test_an_end_is_looked_at_until_its_answer_is_on_the_broker() -> None:
    """A crash between the commit and the publishing loses nothing; each new question is owed an answer of its own."""
    case = child()
    case.ok("a")
    case.ok("b")
    ended = case.state.version
    assert next_wake(case.plan, case.state, case.now, ended - 1) == after(10)
    assert next_wake(case.plan, case.state, after(3_600), ended - 1) == after(3_660)
    assert next_wake(case.plan, case.state, case.now, ended) is None
    asks(case, Kind.ACTION, attempt=2)
    assert next_wake(case.plan, case.state, case.now, ended) == after(10)
    assert next_wake(case.plan, case.state, case.now, case.state.version) is None
    assert outstanding(case.plan, case.state) == []


def test_a_root_that_has_ended_is_not_looked_at() -> None:
    """Nobody waits for its answer."""
    case = Case(plan(step("a")))
    case.ok("a")
    assert next_wake(case.plan, case.state, case.now, 0) is None


def test_a_child_knows_how_deep_it_is_and_who_asked_for_its_root() -> None:
    """So that a chain ends somewhere, and four eyes are four eyes below it too."""
    parent = msgspec.structs.replace(link(), depth=3, requester="ada")
    state = child(parent=parent).state
    assert (state.depth, state.requester) == (3, "ada")
    assert child(parent=parent, actor="bo").state.requester == "bo"


def test_a_parent_waits_for_its_child() -> None:
    """Not for a reply that is late."""
    ask = template(SERVICE, "hr-access", version=2)
    case = Case(plan(step("access", command=ask, undo=None, no_undo="r")))
    (wait,) = waits(case.plan, case.state)
    assert (wait.kind, wait.text) == ("child", "access: the sub-saga hr-access.v2 goes on")


def test_waiting_for_a_child_for_years_costs_no_history() -> None:
    """It is asked again every day under the same attempt, and nothing is recorded; a pause stops that too."""
    ask = template(SERVICE, "hr-access", version=2)
    case = Case(plan(step("access", command=ask, timeout=TIMEOUT, within=None), deadline=timedelta(days=9_000)))
    first, before = case.sent(), case.state
    assert asked_again(case.plan, case.state, after(86_399)) == []
    for day in range(1, 800):
        assert case.tick(86_400) == ()
        [again] = asked_again(case.plan, case.state, case.now)
        assert (again.message_id, again.body, again.expires_at) == (first.message_id, first.body, case.now + WEEK)
        assert next_wake(case.plan, case.state, case.now, 1) == after((day + 1) * 86_400)
    assert case.state == before
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    assert asked_again(case.plan, case.state, case.now + WEEK) == []


def test_a_command_to_a_child_that_no_broker_confirmed_is_in_doubt() -> None:
    """Then it is sent again like any other, and that is recorded once."""
    ask = template(SERVICE, "hr-access", version=2)
    case = Case(plan(step("access", command=ask, timeout=TIMEOUT, within=None), deadline=timedelta(days=9)))
    assert names(case.tick(86_401, dispatched=0)) == ["DispatchDelayed access"]
    assert case.tick(86_401, dispatched=0) == ()
