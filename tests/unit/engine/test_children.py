"""Sub-sagas: the engine is the participant that starts, answers and undoes them, whatever is lost in between."""

import msgspec
import pytest

from saga import wire
from saga.core.inputs import Abandon
from saga.core.messages import Kind, Outcome
from saga.engine.operate import operate
from tests.unit.engine.family import CHILDREN, INNER, OUTER, WAITING, row, started, to_engine, to_parent
from tests.unit.engine.rig import Rig, heard


@pytest.fixture
def rig() -> Rig:
    """A saga that runs another one, then charges."""
    return Rig(OUTER, INNER, WAITING)


async def recorded(rig: Rig, saga: str) -> list[str]:
    """Names of events."""
    return [event["event"] for each in await rig.store.history(saga) for event in msgspec.json.decode(each.data)]


# ---------------------------------------------------------------------------------------------------- start and answer


async def test_a_child_is_started_and_its_end_goes_on_with_the_parent(rig: Rig) -> None:
    """Its own id, key and history; its root and parent in its row; its output is the reply."""
    process = await rig.process()
    outer = await started(rig, process)
    assert (outer.wait_kind, outer.wait_text) == ("child", "access: the sub-saga inner.v1 goes on")
    [command] = await to_engine(rig, process)
    inner = await row(rig, "inner")
    assert (inner.parent, inner.root, inner.start_key) == (
        outer.saga,
        outer.saga,
        f"c:{wire.command_from_wire(command).key}",
    )
    await process.hop(await rig.reply(await rig.command()))
    assert (await row(rig, "inner")).status == "completed"
    await to_parent(rig, process)
    assert (await rig.command("charge-service")).saga == outer.saga
    [succeeded] = [
        event
        for each in await rig.store.history(outer.saga)
        for event in msgspec.json.decode(each.data)
        if event["event"] == "StepSucceeded"
    ]
    assert (succeeded["path"], succeeded["reply"]) == ("access", {"order": "o1"})


async def test_a_child_that_undid_itself_is_a_declared_refusal(rig: Rig) -> None:
    """The parent is undone, or takes another way."""
    process = await rig.process()
    outer = await started(rig, process)
    await to_engine(rig, process)
    await process.hop(await rig.reply(await rig.command(), Outcome.FAILED))
    await to_parent(rig, process)
    assert (await row(rig, "order")).status == "compensated"
    assert "StepFailed" in await recorded(rig, outer.saga)


async def test_the_same_command_again_starts_nothing_and_is_answered_again(rig: Rig) -> None:
    """Redelivered while the child goes on, and after its end: the parent hears twice, and it counts once."""
    process = await rig.process()
    outer = await started(rig, process)
    [command] = await to_engine(rig, process)
    hop = await process.hop(command)
    assert (len(hop.done), hop.dispatches) == (1, [])
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(command)
    assert len(await rig.rows()) == 2
    await to_parent(rig, process, 2)
    assert (await recorded(rig, outer.saga)).count("StepSucceeded") == 1
    assert await rig.parked() == []


async def test_a_start_and_its_copy_in_one_batch_are_one_child(rig: Rig) -> None:
    """Also when two processes begin it at once."""
    process, other = await rig.process(), await rig.process()
    await started(rig, process)
    [command] = await rig.take(CHILDREN, 1)

    async def faster() -> None:
        await other.hop(command)

    rig.store.before_commit = faster
    hop = await process.hop(command, command)
    assert len(await rig.rows()) == 2
    assert len(hop.again) == 2
    hop = await process.hop(*hop.again)
    assert (len(hop.again), len(hop.done)) == (0, 2)


# --------------------------------------------------------------------------------------------------- what may be lost


async def test_an_end_whose_answer_was_never_sent_is_answered_by_the_alarm(rig: Rig) -> None:
    """Killed between the child's last commit and its publishing: whoever looks next sends it."""
    process, other = await rig.process(), await rig.process()
    outer = await started(rig, process)
    await to_engine(rig, process)
    await process.handle(await rig.reply(await rig.command()))  # committed, and nothing sent
    assert rig.broker.ready_count("saga.replies") == 0
    rig.clock.seconds += 11
    await other.tick()
    await to_parent(rig, other)
    assert (await rig.command("charge-service")).saga == outer.saga


async def test_a_child_that_was_answered_is_not_looked_at_again(rig: Rig) -> None:
    """Its alarm is taken away with the confirm; so the end costs one write more, not a look each minute."""
    process = await rig.process()
    await started(rig, process)
    await to_engine(rig, process)
    await process.hop(await rig.reply(await rig.command()))
    assert (await row(rig, "inner")).wake_at is not None
    await process.dispatches.settle()
    assert (await row(rig, "inner")).wake_at is None
    rig.clock.seconds += 60
    await process.tick()
    assert rig.broker.ready_count("saga.replies") == 1


async def test_a_broker_that_lost_everything(rig: Rig) -> None:
    """The parent asks again after a day at the latest: what was not started is, and what ended says so once more."""
    process = await rig.process()
    outer = await started(rig, process)
    await process.dispatches.settle()
    rig.broker.wipe()
    rig.declare()
    rig.clock.seconds += 86_400 + 5
    await process.tick()
    rig.clock.seconds += 5
    await process.tick()
    rig._subscriptions.clear()
    await to_engine(rig, process)
    await process.hop(await rig.reply(await rig.command()))
    rig.broker.wipe()
    rig.declare()
    rig._subscriptions.clear()
    rig.clock.seconds += 86_400 + 5
    await process.tick()
    rig.clock.seconds += 10
    await process.tick()
    await to_engine(rig, process)
    await to_parent(rig, process)
    assert (await rig.command("charge-service")).saga == outer.saga


# ----------------------------------------------------------------------------------------------------------- the undo


async def test_a_completed_child_is_undone_as_a_unit(rig: Rig) -> None:
    """The parent failed later: the child's own undo runs, and its end answers the parent's."""
    process = await rig.process()
    await started(rig, process)
    await to_engine(rig, process)
    await process.hop(await rig.reply(await rig.command()))
    await to_parent(rig, process)
    await process.hop(await rig.reply(await rig.command("charge-service"), Outcome.FAILED))
    await to_engine(rig, process)
    assert (await row(rig, "inner")).status == "compensating"
    undo = await rig.command()
    assert undo.kind is Kind.COMPENSATION
    await process.hop(await rig.reply(undo))
    await to_parent(rig, process)
    assert {each.status for each in await rig.rows()} == {"compensated"}


async def test_a_running_child_is_cancelled(rig: Rig) -> None:
    """Undone while it runs: it undoes what it did, and the parent waits for that."""
    process = await rig.process()
    outer = await started(rig, process)
    await to_engine(rig, process)
    action = await rig.command()
    await process.hop(await rig.cancel(outer.saga))
    await to_engine(rig, process)
    assert (await row(rig, "inner")).status == "compensating"
    assert (await row(rig, "order")).status == "compensating"
    undo = await rig.command()
    assert (undo.undoes, undo.undoes_outcome) == (action.key, "unknown")
    await process.hop(await rig.reply(undo))
    await to_parent(rig, process)
    assert {each.status for each in await rig.rows()} == {"compensated"}


async def test_a_running_child_may_be_awaited(rig: Rig) -> None:
    """With the other policy it goes on to its end, and is undone then."""
    process = await rig.process()
    outer = await started(rig, process, "waiting")
    await to_engine(rig, process)
    action = await rig.command()
    await process.hop(await rig.cancel(outer.saga))
    await to_engine(rig, process)
    assert (await row(rig, "inner")).status == "running"
    await process.hop(await rig.reply(action))
    await process.hop(await rig.reply(await rig.command()))
    await to_parent(rig, process)
    assert {each.status for each in await rig.rows()} == {"compensated"}


async def test_a_child_that_never_began_never_will(rig: Rig) -> None:
    """The undo overtakes the start: a tombstone answers it with nothing, and the start that arrives after it finds
    the tombstone."""
    process = await rig.process()
    outer = await started(rig, process)
    [late] = await rig.take(CHILDREN, 1)
    await process.hop(await rig.cancel(outer.saga))
    await to_engine(rig, process)
    inner = await row(rig, "inner")
    assert (inner.status, inner.parent) == ("abandoned", outer.saga)
    await process.hop(late)
    assert len(await rig.rows()) == 2
    await to_parent(rig, process, 2)
    assert (await row(rig, "order")).status == "compensated"
    assert rig.broker.ready_count("saga.commands.reserve-service") == 0


async def test_a_start_that_nobody_waits_for_begins_nothing(rig: Rig) -> None:
    """The parent was cancelled, and its undo is still under way: the old start alone is turned away."""
    process = await rig.process()
    outer = await started(rig, process)
    [late] = await rig.take(CHILDREN, 1)
    await process.hop(await rig.cancel(outer.saga))
    hop = await process.hop(late)
    assert [reply.code for reply, _ in hop.turned_away] == ["cancelled"]
    assert len(await rig.rows()) == 1


async def test_an_abandoned_child_is_a_question_for_a_person(rig: Rig) -> None:
    """Its parent parks: nobody knows which of its effects stand."""
    process = await rig.process()
    await started(rig, process)
    await to_engine(rig, process)
    inner = await row(rig, "inner")
    await operate(rig.store, rig.clock, inner.saga, Abandon(now=rig.clock.now(), actor="olga", reason="stuck"))
    await process.tick()
    await to_parent(rig, process)
    parked = await row(rig, "order")
    assert parked.status == "parked"
    assert "was abandoned: stuck" in parked.wait_text


async def test_waiting_for_a_child_holds_up_nobody(rig: Rig) -> None:
    """It may take days: it does not count among the commands in flight, beyond which no saga is started."""
    process = await rig.process()
    hop = await process.hop(await rig.start())
    assert hop.opened == 0
    assert heard(hop) == ["accepted"]
