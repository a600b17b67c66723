"""The limits of one saga, at their edges: exactly at the limit it goes on, one more parks it, and nothing is lost."""

from datetime import timedelta

import msgspec
import pytest

from saga.core import events as e
from saga.core import inputs as i
from saga.core.blocks import Attempt, Await, Block, Each, Repeat, Sleep, StepKind, When, Within
from saga.core.bounds import EVENTS_MAX, MAP_ITEMS_MAX, RECORDED_BYTES_MAX
from saga.core.events import ParkCode
from saga.core.expression import Compare, Literal, Object, Ref, ScalarType
from saga.core.limits import BODY_BYTES_MAX, OUTPUT_BYTES_MAX
from saga.core.nearing import NEAR_PERCENT, NEARING_TAG, warnings
from saga.core.outstanding import view
from saga.core.rows import INDEXED_BYTES_MAX
from saga.core.state import Phase, SagaState
from tests.builders import INPUT_ID, Case, names, plan, raw, step, template

TWO_STEPS = plan(step("reserve"), step("charge"))
REPLY = b'{"id":"x"}'
AROUND_ID_BYTES = len('{"order":""}')
ITEMS = Ref("input", ("seats",), ScalarType.LIST)
NEAR_EVENTS = EVENTS_MAX * NEAR_PERCENT // 100


def order(body_bytes: int) -> bytes:
    """An input that makes the bodies of its commands so large."""
    return b'{"id":"' + b"x" * (body_bytes - AROUND_ID_BYTES) + b'"}'


def recorded(case: Case, **counts: int) -> None:
    """As if the saga had a longer history."""
    case.state = msgspec.structs.replace(case.state, **counts)


def parked(case: Case) -> dict[str, ParkCode]:
    return {path: parked.code for path, parked in case.state.parked.items()}


def cancelled(case: Case) -> SagaState:
    """Where the saga ends when it is cancelled and every undo succeeds."""
    case.when(i.Cancel(now=case.now, request="c-1", by="shop", actor=None, reason="too long"))
    while case.state.phase is Phase.COMPENSATING:
        case.ok()
    return case.state


@pytest.mark.parametrize(
    "counts",
    [{"events_count": EVENTS_MAX - 2}, {"recorded_bytes": RECORDED_BYTES_MAX - len(REPLY) - 1}],
    ids=["events", "bytes"],
)
def test_a_step_is_begun_below_the_limit_of_the_history(counts: dict[str, int]) -> None:
    """The last event, and the last byte, that may be there when a step begins."""
    case = Case(TWO_STEPS)
    recorded(case, **counts)
    assert names(case.ok(body=REPLY)) == ["StepSucceeded reserve", "CommandIssued charge"]


@pytest.mark.parametrize(
    "counts",
    [{"events_count": EVENTS_MAX - 1}, {"recorded_bytes": RECORDED_BYTES_MAX - len(REPLY)}],
    ids=["events", "bytes"],
)
def test_a_full_history_begins_no_step_and_is_still_undone(counts: dict[str, int]) -> None:
    """The reply that fills it is recorded, the next step parks, and a cancel compensates: that always fits."""
    case = Case(TWO_STEPS)
    recorded(case, **counts)
    assert names(case.ok(body=REPLY)) == ["StepSucceeded reserve", "StepParked charge"]
    assert parked(case) == {"charge": ParkCode.HISTORY_LIMIT}
    assert view(case.plan, case.state).status == "parked"
    assert cancelled(case).phase is Phase.COMPENSATED
    assert case.state.steps["reserve"].undone


NEVER = Compare("eq", ScalarType.INT, Literal(raw("1")), Literal(raw("0")))
NEXT: dict[str, Block] = {
    "a condition": When(path="b", condition=NEVER, then=(step("b/s"),)),
    "items": Each(path="b", items=Literal(raw("[1,2]")), limit=9, window=9, body=(step("b/s"),)),
    "a signal": Await(path="b", signal="s"),
    "a time": Sleep(path="b", time=Literal(raw('"PT0S"'))),
    "a deadline": Within(path="b", time=timedelta(hours=1), body=(step("b/s"),)),
}


@pytest.mark.parametrize("block", NEXT)
def test_a_full_history_begins_nothing_else_either(block: str) -> None:
    """Conditions, items and waits are recorded too: within the limits of a definition there may be a million."""
    case = Case(plan(step("a"), NEXT[block]))
    recorded(case, events_count=EVENTS_MAX - 1)
    assert names(case.ok()) == ["StepSucceeded a", "StepParked b"]
    assert parked(case) == {"b": ParkCode.HISTORY_LIMIT}
    assert cancelled(case).phase is Phase.COMPENSATED


def test_a_loop_that_only_takes_signals_ends_at_the_limit() -> None:
    """What signals brought counts: a loop of nothing but waits would record without bound."""
    case = Case(plan(Repeat(path="loop", until=NEVER, limit=1_000, body=(Await(path="loop/w", signal="s"),))))
    body = b'"' + b"x" * (RECORDED_BYTES_MAX // 8) + b'"'
    for number in range(8):
        assert not case.state.parked
        case.when(i.SignalGiven(now=case.now, signal="s", message_id=f"m{number}", body=body, by="shop", actor=None))
    assert parked(case) == {"loop": ParkCode.HISTORY_LIMIT}


def test_a_full_history_says_so_at_one_place() -> None:
    """A thousand items that cannot go on are one thing to look at, and not a thousand events more."""
    items = Literal(raw("[1,2,3,4,5]"))
    case = Case(plan(step("a"), Each(path="m", items=items, limit=9, window=9, body=(step("m/s"),))))
    recorded(case, events_count=EVENTS_MAX - 4)
    assert names(case.ok()) == [
        "StepSucceeded a",
        "MapStarted m",
        "CommandIssued m[0]/s",
        "CommandIssued m[1]/s",
        "StepParked m[2]/s",
    ]


def test_a_full_history_still_goes_the_other_way() -> None:
    """What was begun ends in order: a block gives up and is undone; only the other way begins nothing."""
    attempt = Attempt(path="t", on=("Declined",), body=(step("t/a"), step("t/b")), otherwise=(step("t/c"),))
    case = Case(plan(attempt, step("d", StepKind.RETRYABLE)))
    case.ok()
    recorded(case, events_count=EVENTS_MAX)
    assert names(case.failed()) == ["StepFailed t/b", "BlockFailed t", "CommandIssued t/a"]
    assert names(case.ok()) == ["CompensationSucceeded t/a", "BlockUndone t", "StepParked t/c"]


def test_the_largest_command_is_sent_and_a_larger_one_parks() -> None:
    """Before it is issued: nobody was asked, and nothing is to be undone."""
    assert len(Case(TWO_STEPS, input=order(BODY_BYTES_MAX)).sent("reserve").body) == BODY_BYTES_MAX
    case = Case(TWO_STEPS, input=order(BODY_BYTES_MAX + 1))
    assert parked(case) == {"reserve": ParkCode.TOO_LARGE}
    assert f"{BODY_BYTES_MAX + 1} bytes" in case.state.parked["reserve"].text
    assert cancelled(case).phase is Phase.COMPENSATED


def test_the_largest_undo_is_sent_and_a_larger_one_parks() -> None:
    """It holds the compensation until a person has looked: an undo is never left out."""
    larger = step("reserve", undo=template("reserve-service", "Release", body=Object({"orders": INPUT_ID})))
    for undone, size_bytes in ((step("reserve"), BODY_BYTES_MAX), (larger, BODY_BYTES_MAX + 1)):
        case = Case(plan(undone, step("charge")), input=order(BODY_BYTES_MAX))
        case.ok("reserve")
        case.failed("charge")
        if size_bytes == BODY_BYTES_MAX:
            assert len(case.sent().body) == BODY_BYTES_MAX
        else:
            assert parked(case) == {"reserve": ParkCode.EVALUATION}
            assert f"{size_bytes} bytes" in case.state.parked["reserve"].text
            assert case.state.phase is Phase.COMPENSATING


def test_the_largest_output_is_told_and_a_larger_one_parks() -> None:
    """A caller that cannot be told its result would wait for ever; the saga waits instead, and says why."""
    case = Case(plan(step("reserve")), input=order(OUTPUT_BYTES_MAX))
    assert names(case.ok()) == ["StepSucceeded reserve", "SagaCompleted"]
    assert len(case.state.output) == OUTPUT_BYTES_MAX
    case = Case(plan(step("reserve")), input=order(OUTPUT_BYTES_MAX + 1))
    assert names(case.ok()) == ["StepSucceeded reserve", "StepParked output"]
    assert parked(case) == {"output": ParkCode.TOO_LARGE}
    assert cancelled(case).phase is Phase.COMPENSATED


@pytest.mark.parametrize("excess", [0, 1])
def test_as_many_items_as_may_be_are_run_over_and_one_more_parks(excess: int) -> None:
    """Before anything of the block was asked."""
    each = Each(path="seats", items=ITEMS, limit=MAP_ITEMS_MAX, window=2, body=(step("seats/add"),))
    listed = b",".join(b"%d" % number for number in range(MAP_ITEMS_MAX + excess))
    case = Case(plan(each), input=b'{"id":"o1","seats":[' + listed + b"]}")
    if excess:
        assert parked(case) == {"seats": ParkCode.ITEMS}
        assert f"{MAP_ITEMS_MAX + 1} items" in case.state.parked["seats"].text
        return
    for number in range(MAP_ITEMS_MAX):
        case.ok(f"seats[{number}]/add")
    assert case.state.phase is Phase.COMPLETED
    assert case.state.events_count < NEAR_EVENTS


def test_a_tag_is_kept_whole_up_to_its_limit() -> None:
    """A longer one keeps its head and ends in a digest, so that two of them stay two."""
    of = plan(step("reserve"), tags={"order": INPUT_ID})
    whole = "x" * INDEXED_BYTES_MAX
    assert Case(of, input=f'{{"id":"{whole}"}}'.encode()).state.tags == {"order": whole}
    tags = [Case(of, input=f'{{"id":"{whole}{more}"}}'.encode()).state.tags["order"] for more in "ab"]
    assert tags[0] != tags[1]
    assert all(len(tag.encode()) <= INDEXED_BYTES_MAX and tag.startswith("x" * 400) for tag in tags)


def test_a_history_that_nears_its_limit_is_said_once_and_marked() -> None:
    """At 80 %, not before; the mark finds every such saga, and goes when the saga has ended."""
    case = Case(TWO_STEPS)
    recorded(case, events_count=NEAR_EVENTS - 3)
    said = []
    for _ in range(2):
        before = case.state
        said.append(list(warnings(before, before, ())))
        events = case.ok()
        said.append(list(warnings(before, case.state, events)))
    assert [len(texts) for texts in said] == [0, 0, 0, 1]
    assert f"of {EVENTS_MAX} events" in said[-1][0]
    assert case.state.terminal
    assert NEARING_TAG not in view(case.plan, case.state).tags


def test_the_mark_is_there_while_the_saga_is_open() -> None:
    """From 80 % on."""
    case = Case(TWO_STEPS)
    recorded(case, events_count=NEAR_EVENTS - 1)
    assert NEARING_TAG not in view(case.plan, case.state).tags
    recorded(case, events_count=NEAR_EVENTS)
    assert view(case.plan, case.state).tags[NEARING_TAG] == "history"


@pytest.mark.parametrize(("short_bytes", "said"), [(1, []), (0, ["the input", "the command of reserve"])])
def test_a_large_body_is_said_each_time(short_bytes: int, said: list[str]) -> None:
    """At 80 % of what a message may hold."""
    near_bytes = BODY_BYTES_MAX * NEAR_PERCENT // 100
    # The body of the command is longer than the input by what the names differ.
    whole = b'{"id":"' + b"x" * (near_bytes - len('{"id":""}') - short_bytes * 4) + b'"}'
    case = Case(TWO_STEPS, input=whole)
    texts = list(warnings(None, case.state, case.commits[0]))
    assert [text.partition(" has ")[0] for text in texts] == said


def test_a_large_reply_is_said() -> None:
    """With the step it came from."""
    case = Case(TWO_STEPS)
    before = case.state
    body = b'{"id":"' + b"x" * (BODY_BYTES_MAX * NEAR_PERCENT // 100) + b'"}'
    events = case.ok(body=body)
    assert isinstance(events[0], e.StepSucceeded)
    assert [text.partition(" has ")[0] for text in warnings(before, case.state, events)] == ["the reply to reserve"]
