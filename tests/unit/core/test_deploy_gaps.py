"""A service that does not know a command is asked every minute, recorded ever more rarely, and heard when it does."""

from datetime import datetime, timedelta

from saga.core import inputs as i
from saga.core.bounds import ACTION_EXPIRES_AFTER, GAP_ASK_AFTER
from saga.core.definition import RetryPolicy, StepKind
from saga.core.events import AttemptEnded, ParkCode
from saga.core.messages import BUSY, CommandMessage, Kind, Outcome, RefusedCode
from saga.core.outstanding import asked_again, next_wake, outstanding, waits
from saga.core.state import Execution, Phase, Waiting
from tests.builders import NOW, Case, names, plan, step

HOUR, DAY, YEARS = timedelta(hours=1), timedelta(days=1), timedelta(days=2_000)
UNKNOWN = RefusedCode.UNKNOWN_COMMAND
TWICE = RetryPolicy(attempts=2, first=timedelta(0), cap=timedelta(0))


def begun(kind: StepKind = StepKind.COMPENSATABLE) -> Case:
    """One step that may be tried twice within an hour."""
    return Case(plan(step("book", kind, retry=TWICE, within=HOUR), deadline=YEARS))


def execution(case: Case) -> Execution:
    """Of the step."""
    return case.state.steps["book"].action


def asked(case: Case) -> list[CommandMessage]:
    """What is sent, without a record, when somebody looks now."""
    return asked_again(case.plan, case.state, case.now)


def gap(case: Case, until: datetime) -> int:
    """A service that does not know the command answers whatever it is asked; how often that was."""
    count = 0
    while True:
        due = [each.message for each in outstanding(case.plan, case.state)]
        for message in due or asked(case):
            count += 1
            case.answer(message, Outcome.REFUSED, code=UNKNOWN)
        wake = next_wake(case.plan, case.state, case.now, case.state.version)
        assert wake is not None
        assert wake > case.now
        if wake > until:
            case.now = until
            return count
        case.now = wake
        case.tick()


def recorded(case: Case) -> int:
    """Events so far."""
    return sum(map(len, case.commits))


def test_a_long_gap_is_asked_every_minute_and_hardly_recorded() -> None:
    """Two attempts a day in the end, so a history is not full within half a week."""
    case = begun()
    minutes = gap(case, NOW + DAY)
    assert 24 * 60 * 0.9 < minutes < 24 * 60 * 1.1
    events = recorded(case)
    assert events <= 2 + 2 * 18
    gap(case, NOW + 3 * DAY)
    assert recorded(case) - events <= 2 * 2 * 2
    assert case.state.phase is Phase.RUNNING


def test_the_same_attempt_is_sent_again_with_a_time_of_its_own() -> None:
    """Not within the first minute, not while the saga is paused, and never once the next attempt is out."""
    case = begun()
    gap(case, NOW + HOUR)
    first = execution(case)
    case.now = first.sent_at + GAP_ASK_AFTER - timedelta(seconds=1)
    assert asked(case) == []
    case.now = first.sent_at + GAP_ASK_AFTER
    [again] = asked(case)
    assert (again.attempt, again.body) == (first.attempt, first.body)
    assert again.expires_at == case.now + ACTION_EXPIRES_AFTER
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    assert asked(case) == []
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    case.now = execution(case).wake_at or case.now
    assert names(case.tick()) == ["CommandRepeated book"]
    assert asked(case) == []


def test_an_undo_has_no_time_of_its_own() -> None:
    """A compensation does not expire, however it is sent."""
    case = Case(plan(step("book"), step("charge"), deadline=YEARS))
    case.ok("book")
    case.failed("charge")
    gap(case, NOW + HOUR)
    case.pass_time(GAP_ASK_AFTER.total_seconds())
    [again] = asked(case)
    assert (again.kind, again.expires_at) == (Kind.COMPENSATION, None)


def test_steps_that_wait_for_one_deploy_are_looked_at_together() -> None:
    """On the saga's own minutes."""
    case = begun()
    gap(case, NOW + HOUR)
    for _ in range(5):
        wake = next_wake(case.plan, case.state, case.now, case.state.version)
        assert wake is not None
        if wake != execution(case).wake_at:
            assert (wake - case.state.started_at) % GAP_ASK_AFTER == timedelta(0)
        case.now = wake
        case.tick()


def test_the_same_answer_again_is_no_event() -> None:
    """However often it is asked, until the next attempt."""
    case = begun()
    gap(case, NOW + HOUR)
    case.pass_time(60)
    [again] = asked(case)
    assert case.answer(again, Outcome.REFUSED, code=UNKNOWN) == ()


def test_whoever_knows_it_now_is_heard() -> None:
    """A definite answer ends the gap at once, not with the next attempt."""
    case = begun()
    gap(case, NOW + DAY)
    [again] = asked(case) or [case.sent()]
    assert "StepSucceeded book" in names(case.answer(again, Outcome.OK, body=b'{"id":"b"}'))


def reached(case: Case, until: datetime) -> CommandMessage:
    """The command as it is sent again without a record, after a gap until then."""
    gap(case, until)
    assert execution(case).waiting is Waiting.BACKOFF
    case.pass_time(GAP_ASK_AFTER.total_seconds())
    [again] = asked(case)
    return again


def test_a_transient_failure_after_a_gap_is_the_first_attempt() -> None:
    """The gap used up neither attempts nor time; from here both are."""
    case = begun()
    issued = execution(case)
    again = reached(case, NOW + DAY)
    [ended] = case.answer(again, Outcome.RETRY, code="unavailable")
    assert isinstance(ended, AttemptEnded)
    assert (ended.counted, execution(case).counted) == (True, 1)
    assert issued.within_at is not None
    assert execution(case).within_at == issued.within_at + (case.now - issued.sent_at)
    assert case.answer(again, Outcome.RETRY, code="unavailable") == ()
    case.tick()
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    assert case.state.parked["book"].code is ParkCode.EXHAUSTED


def test_busy_after_a_gap_is_no_attempt_either() -> None:
    """Somebody is at work on it: it is asked at the pace of that."""
    case = begun()
    issued = execution(case)
    again = reached(case, NOW + DAY)
    [ended] = case.answer(again, Outcome.RETRY, code=BUSY)
    assert isinstance(ended, AttemptEnded)
    assert ended.next_at - case.now < timedelta(minutes=1)
    assert execution(case).counted == 0
    assert asked(case) == []
    assert issued.within_at is not None
    assert execution(case).within_at == issued.within_at + (ended.next_at - issued.sent_at)


def test_a_pause_in_a_gap_uses_up_nothing() -> None:
    """Whatever is answered while the saga is paused: the step keeps the time it had."""
    case = begun()
    issued = execution(case)
    again = reached(case, NOW + DAY)
    paused_at = case.now
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(90 * 86_400)
    assert names(case.answer(again, Outcome.RETRY, code="unavailable")) == ["AttemptEnded book"]
    assert issued.within_at is not None
    assert execution(case).within_at == issued.within_at + (paused_at - issued.sent_at)


def test_doubt_after_a_gap_parks() -> None:
    """As it does from any attempt that is under way."""
    case = begun()
    again = reached(case, NOW + DAY)
    case.answer(again, Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    assert case.state.parked["book"].code is ParkCode.IN_DOUBT
    assert asked(case) == []


def test_a_code_that_only_sounds_like_a_gap_is_an_attempt() -> None:
    """`retry` with that word is a handler's own: it uses up attempts, and is asked again as the policy says."""
    case = begun()
    case.answer(case.sent(), Outcome.RETRY, code=UNKNOWN)
    assert execution(case).counted == 1
    assert asked(case) == []
    case.tick()
    case.answer(case.sent(), Outcome.RETRY, code=UNKNOWN)
    assert case.state.parked["book"].code is ParkCode.EXHAUSTED


def test_a_key_that_may_be_forgotten_is_not_sent_again() -> None:
    """A gap ends in front of an operator while the participant surely remembers, with the first look after that."""
    case = begun(StepKind.RETRYABLE)
    gap(case, NOW + HOUR)
    case.now = NOW + 23 * DAY
    assert case.tick() != ()
    case.now += timedelta(seconds=1)
    gap_again = outstanding(case.plan, case.state)
    case.answer(gap_again[0].message, Outcome.REFUSED, code=UNKNOWN)
    case.now += GAP_ASK_AFTER
    assert names(case.tick()) == ["StepParked book"]
    assert case.state.parked["book"].code is ParkCode.KEY_FORGOTTEN
    assert asked(case) == []


def test_a_gap_says_what_it_does() -> None:
    """For whoever asks why the saga waits; of a short one there is nothing to say."""
    case = begun()
    case.answer(case.sent(), Outcome.REFUSED, code=UNKNOWN, message="no handler")
    [wait] = waits(case.plan, case.state)
    assert wait.text == "book: attempt 2 follows after unknown-command: no handler"
    gap(case, NOW + DAY)
    [wait] = waits(case.plan, case.state)
    assert wait.text.startswith("book: asked again every minute, attempt ")
    assert wait.code == UNKNOWN


def test_a_queue_that_is_missing_is_one_event() -> None:
    """However often the command is sent in vain."""
    case = begun()
    sent = execution(case)
    for _ in range(30):
        case.pass_time(86_400)
        case.when(
            i.Undelivered(
                now=case.now, path="book", kind=Kind.ACTION, execution=1, attempt=sent.attempt, detail="NO_ROUTE"
            )
        )
    assert recorded(case) == 3
