"""Lifecycle events: which commits tell something, what they tell, and that no payload leaves with them."""

from datetime import timedelta

import msgspec

from saga.core import events as e
from saga.core import inputs as i
from saga.core.blocks import Await, Branch, Parallel
from saga.core.definition import OnExhausted, RetryPolicy, StepKind
from saga.core.evolve import evolve_commit
from saga.core.lifecycle import LISTED_MAX, LifecycleEvent, Moment, ParkedAt, lifecycle
from saga.core.messages import Kind, Outcome
from saga.core.state import Parked, Phase, SagaState
from tests.builders import NOW, SAGA, Case, after, plan, step
from tests.unit.core.test_approvals import decision, letter
from tests.unit.core.test_children import PARENT, asks, child, link

SECRET = "hunter2"
TWO = plan(step("reserve"), step("charge"))


def told(case: Case) -> list[LifecycleEvent]:
    """Everything a history tells, commit by commit."""
    state: SagaState | None = None
    found: list[LifecycleEvent] = []
    for number, commit in enumerate(case.commits):
        before, state = state, evolve_commit(state, commit)
        found += lifecycle(case.plan, before, state, commit, after(number))
    return found


def moments(case: Case) -> list[tuple[str, int]]:
    """Which moments, at which versions."""
    return [(str(each.moment), each.version) for each in told(case)]


def test_a_saga_that_completes_starts_and_ends() -> None:
    """The hops between tell nothing: who wants every step reads the history."""
    case = Case(TWO)
    case.ok()
    case.ok()
    assert moments(case) == [("started", 1), ("ended", 3)]
    started, ended = told(case)
    assert (started.saga, started.name, started.key, started.definition_version) == (SAGA, "order", "1", 1)
    assert (started.root, started.status, started.at) == (SAGA, "running", NOW)
    assert (ended.status, ended.code, ended.at) == ("completed", "", after(2))


def test_a_late_failure_tells_why_it_compensates_and_how_it_ends() -> None:
    """The declared code and the step; no word of the participant."""
    case = Case(TWO)
    case.ok()
    case.failed()
    case.ok()
    assert moments(case) == [("started", 1), ("compensating", 3), ("ended", 4)]
    _, compensating, ended = told(case)
    assert (compensating.because, compensating.code, compensating.step) == ("failed", "Declined", "charge")
    assert (compensating.status, ended.status, ended.code) == ("compensating", "compensated", "Declined")


def test_what_has_nothing_to_undo_only_ends() -> None:
    """The first step fails: the saga never stood there compensating, and its end says why."""
    case = Case(plan(step("reserve")))
    case.failed()
    assert moments(case) == [("started", 1), ("ended", 2)]
    assert (told(case)[1].status, told(case)[1].code) == ("compensated", "Declined")


def test_moments_of_one_commit_have_ids_of_their_own() -> None:
    """A saga that waits from its first commit on: what comes first has the plain id."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.RETRY, code="Later")
    started, waiting = lifecycle(case.plan, None, case.state, case.commits[1], NOW)
    assert (started.moment, waiting.moment) == (Moment.STARTED, Moment.WAITING)
    assert (started.id, waiting.id) == (f"{SAGA}:2", f"{SAGA}:2:waiting")


def test_a_back_off_is_told_once() -> None:
    """The wait for the next attempt, with the moment it ends; its repetition ends the wait and tells nothing."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.RETRY, code="Busy", message=SECRET)
    case.tick(60)
    assert moments(case) == [("started", 1), ("waiting", 2)]
    [wait] = told(case)[1].waits
    assert (wait.kind, wait.path) == ("timer", "reserve")
    assert wait.until is not None


def test_a_wait_that_goes_on_is_not_told_again() -> None:
    """A pause during a back-off is a new reason; the end of the pause is none."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.RETRY, code="Later")
    case.when(i.Pause(now=case.now, actor="ann", reason=SECRET))
    case.when(i.Resume(now=case.now, actor="ann", reason=SECRET))
    assert moments(case) == [("started", 1), ("waiting", 2), ("waiting", 3)]
    assert [wait.kind for wait in told(case)[2].waits] == ["paused", "timer"]


def test_a_parked_step_is_told_with_its_code() -> None:
    """And told again when it parks again."""
    once = step("reserve", retry=RetryPolicy(attempts=1), on_exhausted=OnExhausted.PARK)
    case = Case(plan(once))
    case.tick(31)
    assert moments(case) == [("started", 1), ("parked", 2)]
    parked = told(case)[1]
    assert parked.status == "parked"
    assert parked.parked == (ParkedAt("reserve", Kind.ACTION, e.ParkCode.EXHAUSTED),)


def test_an_event_lists_what_is_new_and_counts_what_it_leaves_out() -> None:
    """A thousand items that wait, or park, fit a message: whoever wants all of them asks for the saga."""
    case = Case(plan(step("reserve")))
    stood = {f"items[{number}]/s": Parked(Kind.ACTION, e.ParkCode.EXHAUSTED, "", NOW) for number in range(999)}
    before = msgspec.structs.replace(case.state, parked=stood)
    last = {"items[999]/s": Parked(Kind.ACTION, e.ParkCode.EXHAUSTED, "", after(1))}
    [parked] = lifecycle(case.plan, before, msgspec.structs.replace(case.state, parked=stood | last), (), NOW)
    assert [each.path for each in parked.parked[:3]] == ["items[999]/s", "items[0]/s", "items[1]/s"]
    assert (len(parked.parked), parked.more) == (LISTED_MAX, 1_000 - LISTED_MAX)


def test_a_list_that_fits_is_whole_and_in_its_order() -> None:
    """The newest last, and nothing is counted."""
    branches = tuple(
        Branch(path=f"b{number}", body=(Await(path=f"s{number}", signal=f"go{number}", within=timedelta(days=1)),))
        for number in range(LISTED_MAX + 1)
    )
    [_, fits] = told(Case(plan(Parallel(path="all", branches=branches[:-1]))))
    [_, over] = told(Case(plan(Parallel(path="all", branches=branches))))
    assert ([wait.path for wait in fits.waits], fits.more) == ([f"s{number}" for number in range(LISTED_MAX)], 0)
    assert (len(over.waits), over.more) == (LISTED_MAX, 1)


def test_cancel_and_deadline_are_reasons() -> None:
    """In the same words as in the history."""
    cancelled = Case(TWO)
    cancelled.when(i.Cancel(now=cancelled.now, request="c", by="shop", actor=None, reason=SECRET))
    late = Case(TWO)
    late.tick(timedelta(days=2).total_seconds())
    assert [each.because for each in told(cancelled) if each.moment is Moment.COMPENSATING] == ["cancelled"]
    assert [each.because for each in told(late) if each.moment is Moment.COMPENSATING] == ["deadline"]


def test_the_pivot_and_what_follows_tell_nothing_of_their_own() -> None:
    """Only the saga's own moments."""
    case = Case(plan(step("book", StepKind.PIVOT), step("mail", StepKind.RETRYABLE)))
    case.ok()
    case.ok()
    assert moments(case) == [("started", 1), ("ended", 3)]


def test_the_same_commit_tells_the_same() -> None:
    """Published once more after a crash, it is the same message."""
    case = Case(TWO)
    case.ok()
    case.failed()
    assert told(case) == told(case)


def test_a_start_by_message_id_has_it_as_key() -> None:
    """There is no business key to tell."""
    case = Case(TWO, start_key="m:abc")
    assert told(case)[0].key == "abc"


def test_nothing_that_others_wrote_is_told() -> None:
    """Payloads, replies, failures, messages, reasons: what a secret may stand in stays in the history."""
    case = Case(TWO, input=f'{{"id":"{SECRET}"}}'.encode(), actor=SECRET, by=SECRET)
    case.ok(body=f'{{"id":"{SECRET}"}}'.encode())
    case.answer(case.sent(), Outcome.RETRY, code="Busy", message=SECRET)
    case.tick(60)
    case.answer(case.sent(), Outcome.FAILED, code="Declined", message=SECRET, body=f'{{"why":"{SECRET}"}}'.encode())
    case.answer(case.sent(), Outcome.FAILED, code="Closed", message=SECRET)
    case.when(i.Abandon(now=case.now, actor=SECRET, reason=SECRET))
    assert {str(each.moment) for each in told(case)} >= {"started", "waiting", "compensating", "parked", "ended"}
    assert SECRET.encode() not in msgspec.json.encode(told(case))


def test_an_approval_and_a_sub_saga_are_waited_for() -> None:
    """Kinds of waits that are no reply need no word of their own here."""
    case = letter()
    [wait] = told(case)[-1].waits
    assert (wait.kind, wait.path) == ("approval", "review")
    case.when(decision(case))
    case.ok("send")
    assert moments(case) == [("started", 1), ("waiting", 2), ("ended", 4)]


def test_a_sub_saga_names_its_parent_and_ends_again_when_it_is_undone() -> None:
    """Completed, then undone with its parent, step by step or at once."""
    case = child()
    case.ok("a")
    case.ok("b")
    asks(case, Kind.COMPENSATION)
    case.ok("b")
    case.ok("a")
    assert [str(each.moment) for each in told(case)] == ["started", "ended", "compensating", "ended"]
    assert [each.status for each in told(case)][1::2] == ["completed", "compensated"]
    assert {(each.parent, each.root) for each in told(case)} == {(PARENT, PARENT)}
    assert told(case)[2].because == "parent"


def test_an_end_after_an_end_in_one_commit_is_told() -> None:
    """Nothing was left to undo: the sub-saga goes from one end to the other."""
    case = child()
    case.ok("a")
    case.ok("b")
    undone = msgspec.structs.replace(case.state, version=case.state.version + 1, phase=Phase.COMPENSATED)
    [ended] = lifecycle(case.plan, case.state, undone, (), NOW)
    assert (ended.moment, ended.status) == (Moment.ENDED, "compensated")


def test_a_sub_saga_that_never_began_starts_and_ends_in_one_commit() -> None:
    """Its undo came first: two moments with two ids."""
    case = child(parent=link(Kind.COMPENSATION), tombstone=True)
    assert [(str(each.moment), each.id) for each in told(case)] == [
        ("started", f"{SAGA}:1"),
        ("ended", f"{SAGA}:1:ended"),
    ]
