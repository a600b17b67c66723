"""What an operator does from any process, at the store's time."""

from datetime import timedelta

import msgspec
import pytest

from saga.core.inputs import Abandon, Cancel, Pause, Resolve, Resume, Verdict
from saga.core.state import Phase
from saga.engine.operate import NoSuchSaga, NotPossible, Operation, Unreadable, operate
from saga.ports import Advance, NewSaga
from tests.builders import NOW
from tests.unit.engine.rig import PIVOTAL, ManualClock, Rig

WRONG_DAY = NOW - timedelta(days=1)


def cancel(request: str = "r-1") -> Cancel:
    return Cancel(now=WRONG_DAY, request=request, by="operator", actor="ada", reason="asked to")


def pause() -> Pause:
    return Pause(now=WRONG_DAY, actor="ada", reason="maintenance")


async def begun(rig: Rig, name: str = "order") -> str:
    process = await rig.process()
    await process.hop(await rig.start(name=name))
    return (await rig.row()).saga


async def test_a_cancel_is_recorded_and_sent_by_an_orchestrator(rig: Rig) -> None:
    """The commit rings the alarm now, at the store's time, whatever day the operator's machine has."""
    saga = await begun(rig)
    rig.clock.seconds += 5
    state = await operate(rig.store, ManualClock(), saga, cancel())
    assert state.phase is Phase.COMPENSATING
    assert (await rig.row()).wake_at == rig.clock.now()
    recorded = msgspec.json.decode((await rig.store.history(saga))[1].data)
    assert {event["at"] for event in recorded} == {"2026-01-01T00:00:05Z"}
    await rig.command()
    await (await rig.process()).tick()
    assert (await rig.command()).undoes is not None


async def test_the_same_again_changes_nothing(rig: Rig) -> None:
    """A second cancel of a saga that compensates, and a second pause."""
    saga = await begun(rig)
    await operate(rig.store, rig.clock, saga, cancel())
    await operate(rig.store, rig.clock, saga, cancel("r-2"))
    await operate(rig.store, rig.clock, saga, pause())
    state = await operate(rig.store, rig.clock, saga, pause())
    assert state.version == 3


async def test_a_pause_stops_the_clock_and_a_resume_starts_it(rig: Rig) -> None:
    """No alarm meanwhile; afterwards what is on the wire is looked at again."""
    saga = await begun(rig)
    await operate(rig.store, rig.clock, saga, pause())
    row = await rig.row()
    assert (row.wait_kind, row.wake_at) == ("paused", None)
    await operate(rig.store, rig.clock, saga, Resume(now=WRONG_DAY, actor="ada", reason="done"))
    assert (await rig.row()).wake_at is not None


async def test_who_moves_at_the_same_time_is_decided_upon_again(rig: Rig) -> None:
    """The orchestrator was faster: the operation is decided on what it made of the saga."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    answer = await rig.reply(await rig.command())

    async def faster() -> None:
        if (await rig.row()).version == 1:
            rig.store.before_commit = faster_still

    async def faster_still() -> None:
        await process.hop(answer)

    rig.store.before_commit = faster
    state = await operate(rig.store, rig.clock, saga, pause())
    assert state.version == 3
    assert state.paused_at is not None


async def test_a_cancel_after_the_pivot_says_that_it_is_too_late() -> None:
    """Recorded, and not reported as a success."""
    rig = Rig(PIVOTAL)
    process = await rig.process()
    saga = await begun(rig, "pivotal")
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(await rig.reply(await rig.command("book-service")))
    for _ in range(2):
        with pytest.raises(NotPossible, match="only goes forward"):
            await operate(rig.store, rig.clock, saga, cancel())


ABANDON = Abandon(now=WRONG_DAY, actor="ada", reason="over")
RELEASE = Resolve(now=WRONG_DAY, path="reserve", verdict=Verdict.RETRY, actor="ada", reason="try")


@pytest.mark.parametrize("operation", [cancel(), pause(), ABANDON, RELEASE])
async def test_what_has_ended_is_left_alone(rig: Rig, operation: Operation) -> None:
    """Whatever is asked."""
    saga = await begun(rig)
    await operate(rig.store, rig.clock, saga, ABANDON)
    with pytest.raises(NotPossible, match="has ended: abandoned"):
        await operate(rig.store, rig.clock, saga, operation)


async def test_a_verdict_on_a_step_that_is_not_parked_is_refused(rig: Rig) -> None:
    """With what would fit instead."""
    saga = await begun(rig)
    with pytest.raises(NotPossible):
        await operate(rig.store, rig.clock, saga, RELEASE)


async def test_an_unknown_saga_is_named(rig: Rig) -> None:
    """Not found is not the same as not possible."""
    with pytest.raises(NoSuchSaga, match="no saga 01930000"):
        await operate(rig.store, rig.clock, "01930000-0000-7000-8000-00000000ffff", pause())


async def test_a_damaged_history_is_said_to_be_one(rig: Rig) -> None:
    """It is there, but cannot be read."""
    saga = await begun(rig)
    record = rig.store._table.records[saga]
    record.history[0] = msgspec.structs.replace(record.history[0], data=b"?")
    with pytest.raises(Unreadable, match="cannot be read"):
        await operate(rig.store, rig.clock, saga, pause())


async def test_a_commit_the_store_refuses_is_reported_at_once(rig: Rig) -> None:
    """Not tried again as if it were a race."""
    saga = await begun(rig)
    rig.store.unstorable = lambda row: isinstance(row, Advance | NewSaga)
    with pytest.raises(NotPossible, match="the store refuses"):
        await operate(rig.store, rig.clock, saga, pause())
