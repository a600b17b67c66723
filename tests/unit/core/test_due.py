"""What time does: attempts, back-off, exhaustion, late dispatch, the deadline."""

from datetime import timedelta

from saga.core import inputs as i
from saga.core.bounds import UNKNOWN_COMMAND_RETRY_CAP
from saga.core.definition import Attempt, OnExhausted, RetryPolicy, StepKind
from saga.core.events import AttemptEnded, ParkCode
from saga.core.messages import BUSY, Kind, Outcome, RefusedCode
from saga.core.outstanding import next_wake, outstanding, waits
from saga.core.state import Phase, Waiting
from tests.builders import Case, names, plan, step, template

K = StepKind
ONCE = RetryPolicy(attempts=1)


def undelivered(case: Case, path: str = "charge", attempt: int = 1) -> i.Undelivered:
    return i.Undelivered(
        now=case.now, path=path, kind=Kind.ACTION, execution=1, attempt=attempt, detail="no queue for payments"
    )


def delivered(case: Case, path: str = "charge", attempt: int = 1) -> i.Delivered:
    return i.Delivered(now=case.now, path=path, kind=Kind.ACTION, execution=1, attempt=attempt)


def test_a_timeout_backs_off_and_repeats_the_same_bytes() -> None:
    """The next attempt has its own id, and the key and body of the first."""
    case = Case(plan(step("charge")))
    first = case.sent()
    assert names(case.tick(31)) == ["AttemptEnded charge"]
    assert outstanding(case.plan, case.state) == []
    assert names(case.tick(2)) == ["CommandRepeated charge"]
    second = case.sent()
    assert (second.key, second.body, second.attempt) == (first.key, first.body, 2)
    assert second.message_id != first.message_id


def test_nothing_is_due_before_its_time() -> None:
    """A tick that comes early finds nothing."""
    case = Case(plan(step("charge")))
    assert case.tick(29) == ()


def test_attempts_used_up_park_by_default() -> None:
    """Infrastructure does not compensate a saga unless the definition says so."""
    case = Case(plan(step("charge", retry=ONCE)))
    case.tick(31)
    assert case.state.parked["charge"].code is ParkCode.EXHAUSTED
    assert next_wake(case.plan, case.state, case.now, 1) == case.state.deadline_at


def test_attempts_used_up_compensate_where_it_is_written() -> None:
    """The exhausted step is unknown: it is undone as well."""
    case = Case(plan(step("charge", retry=ONCE, on_exhausted=OnExhausted.COMPENSATE)))
    assert names(case.tick(31)) == ["StepExhausted charge", "CompensationStarted charge", "CommandIssued charge"]
    assert case.sent().undoes_outcome == "unknown"


def test_the_pivot_never_gives_way() -> None:
    """Nobody knows whether an exhausted pivot happened: it parks, whatever is written."""
    case = Case(plan(step("book", K.PIVOT, retry=ONCE, on_exhausted=OnExhausted.COMPENSATE)))
    case.tick(31)
    assert case.state.phase is Phase.RUNNING
    assert case.state.parked["book"].code is ParkCode.EXHAUSTED


def test_an_exhausted_step_takes_the_other_way() -> None:
    """`exhausted` among the reasons of an attempt block goes before parking."""
    block = Attempt(path="pay", on=("exhausted",), body=(step("charge", retry=ONCE),), otherwise=(step("bill"),))
    case = Case(plan(block))
    assert names(case.tick(31)) == ["StepExhausted charge", "BlockFailed pay", "CommandIssued charge"]


def test_an_undispatched_attempt_does_not_time_out() -> None:
    """I7: an attempt counts only once it has reached its queue; until then it waits for delivery."""
    case = Case(plan(step("charge", retry=ONCE)))
    assert names(case.tick(31, dispatched=0)) == ["DispatchDelayed charge"]
    assert case.tick(86_000, dispatched=0) == ()
    assert waits(case.plan, case.state)[0].kind == "delivery"
    assert case.sent().attempt == 1


def test_what_waits_for_delivery_is_always_offered() -> None:
    """Even where a later commit was marked as dispatched: nobody confirmed this attempt."""
    case = Case(plan(step("charge")))
    case.when(undelivered(case))
    assert [due.message.path for due in outstanding(case.plan, case.state, after_version=9)] == ["charge"]


def test_a_late_dispatch_starts_the_clock_anew() -> None:
    """Attempt and step get all the time back that the delivery took, counted from the sending."""
    case = Case(plan(step("charge")))
    within_at = case.state.steps["charge"].action.within_at
    assert within_at is not None
    case.tick(30, dispatched=0)
    case.pass_time(300)
    case.when(delivered(case))
    action = case.state.steps["charge"].action
    assert action.waiting is Waiting.REPLY
    assert action.wake_at == case.now + timedelta(seconds=30)
    assert action.within_at == within_at + timedelta(seconds=330)


def test_a_delivery_nobody_missed_is_no_event() -> None:
    """A confirm of what was never delayed says nothing."""
    case = Case(plan(step("charge")))
    assert case.when(delivered(case)) == ()
    assert case.when(undelivered(case, attempt=7)) == ()


def test_a_pause_is_not_counted_twice() -> None:
    """A delivery that was late before and during a pause gives back its own time once, and the pause once."""
    case = Case(plan(step("charge")))
    within_at = case.state.steps["charge"].action.within_at
    assert within_at is not None
    case.when(undelivered(case))
    case.pass_time(100)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(1_000)
    case.when(delivered(case))
    case.pass_time(50)
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    action = case.state.steps["charge"].action
    assert action.within_at == within_at + timedelta(seconds=100 + 1_050)
    assert action.wake_at == case.now + timedelta(seconds=30)


def test_a_pause_uses_up_no_time_of_a_step() -> None:
    """An answer that comes in it, long after the step's time would have been over, ends its attempt only."""
    case = Case(
        plan(step("charge", retry=RetryPolicy(attempts=9), within=timedelta(minutes=10)), deadline=timedelta(days=7))
    )
    sent = case.sent()
    case.pass_time(20)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(7_200)
    assert names(case.answer(sent, Outcome.RETRY, code="unavailable")) == ["AttemptEnded charge"]
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    assert names(case.tick(60)) == ["CommandRepeated charge"]
    case.pass_time(600)
    assert names(case.answer(case.sent(), Outcome.RETRY, code="unavailable")) == ["StepParked charge"]


def waits_of(case: Case, outcome: Outcome, code: str, count: int) -> list[float]:
    """Seconds between so many answers of this kind and the attempts that follow."""
    found = []
    for _ in range(count):
        (ended,) = case.answer(case.sent(), outcome, code=code)
        assert isinstance(ended, AttemptEnded)
        found.append((ended.next_at - case.now).total_seconds())
        case.now = ended.next_at
        case.tick()
    return found


def test_a_deploy_gap_uses_up_nothing_and_backs_off() -> None:
    """Unknown-command for days is no attempt, but it is not repeated at the pace of the round trip either."""
    case = Case(plan(step("charge", retry=RetryPolicy(attempts=2, first=timedelta(0))), deadline=timedelta(days=90)))
    within_at = case.state.steps["charge"].action.within_at
    found = waits_of(case, Outcome.REFUSED, RefusedCode.UNKNOWN_COMMAND, 25)
    assert sum(found) > 5 * 86_400
    assert max(found) <= UNKNOWN_COMMAND_RETRY_CAP.total_seconds()
    action = case.state.steps["charge"].action
    assert action.counted == 1
    assert within_at is not None
    assert action.within_at is not None
    assert action.within_at - within_at >= timedelta(seconds=sum(found))


def test_busy_is_no_attempt() -> None:
    """The same key is at work elsewhere: it is asked again, the budget is untouched."""
    case = Case(plan(step("charge", retry=RetryPolicy(attempts=2))))
    waits_of(case, Outcome.RETRY, BUSY, 5)
    assert case.state.steps["charge"].action.counted == 1
    assert case.state.steps["charge"].action.attempt == 6


def test_backoff_never_overflows() -> None:
    """Whatever the policy, hundreds of attempts later the wait is at most its cap."""
    policy = RetryPolicy(first=timedelta(days=1), cap=timedelta(days=2))
    case = Case(plan(step("book", K.PIVOT, retry=policy), deadline=timedelta(days=9_000)))
    for _ in range(12):
        case.tick(31)
        case.tick(2 * 86_400)
    assert case.state.phase is Phase.RUNNING


def test_the_deadline_compensates_before_the_pivot() -> None:
    """Nothing was promised yet: what may have been done is undone."""
    case = Case(plan(step("charge"), deadline=timedelta(seconds=20)))
    assert names(case.tick(21)) == ["DeadlinePassed", "CompensationStarted", "CommandIssued charge"]


def test_the_deadline_waits_for_an_undecided_pivot() -> None:
    """It takes effect if the pivot fails, and never after its ok."""
    for outcome, phase in ((Outcome.FAILED, Phase.COMPENSATING), (Outcome.OK, Phase.COMPLETED)):
        case = Case(plan(step("charge"), step("book", K.PIVOT), deadline=timedelta(seconds=20)))
        case.ok("charge")
        assert names(case.tick(21)) == ["DeadlinePassed"]
        assert case.state.phase is Phase.RUNNING
        case.answer(case.sent("book"), outcome, code="Declined", body=b'{"id":"x"}')
        assert case.state.phase is phase


def test_a_forgotten_key_is_not_sent_again() -> None:
    """B7: older than the participant promises to remember, less the week an attempt may travel."""
    case = Case(plan(step("book", K.PIVOT), deadline=timedelta(days=900)))
    case.tick(31)
    case.pass_time(24 * 86_400)
    case.tick()
    assert case.state.parked["book"].code is ParkCode.KEY_FORGOTTEN


def test_an_undo_is_forgotten_as_its_own_command_says() -> None:
    """What is sent while the outcome is unknown may be remembered for less long than the other undo."""
    other = template("book-service", "Recall", remembers=timedelta(days=8))
    case = Case(plan(step("book", undo_unknown=other), deadline=timedelta(days=9)))
    case.when(i.Cancel(now=case.now, request="c", by="shop", actor=None, reason="r"))
    assert case.sent().type_name == other.type_name
    case.tick(31)
    case.pass_time(2 * 86_400)
    assert names(case.tick()) == ["StepParked book"]
    assert case.state.parked["book"].code is ParkCode.KEY_FORGOTTEN


def test_a_confirmed_late_dispatch_can_time_out() -> None:
    """The history itself says that it was delivered: no mark in the row is needed for its time to run out."""
    case = Case(plan(step("charge")))
    case.when(undelivered(case))
    case.when(delivered(case))
    assert names(case.tick(31, dispatched=0)) == ["AttemptEnded charge"]
