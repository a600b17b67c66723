"""Cancelling: by id or by key, answered with what became of it."""

import msgspec

from saga.core.definition import StepKind
from saga.core.messages import Outcome
from tests.builders import plan, step
from tests.unit.engine.rig import PIVOTAL, Rig, heard


async def test_a_running_saga_is_compensated(rig: Rig) -> None:
    """Accepted; what was done is undone; the starter hears how it ended, and why."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    saga = (await rig.row()).saga
    hop = await process.hop(await rig.cancel(saga))
    assert heard(hop) == ["accepted existing"]
    assert (await rig.row()).status == "compensating"
    charge, undo = await rig.commands("charge-service")
    assert (undo.undoes, undo.undoes_outcome) == (charge.key, "unknown")


async def test_a_cancel_that_ends_the_saga_at_once_is_accepted() -> None:
    """Nothing was done that could be undone: it ends with the cancel, and the canceller is not told 'too late'."""
    rig = Rig(plan(step("look", StepKind.READ), name="free"))
    process = await rig.process()
    await process.hop(await rig.start(name="free"))
    saga = (await rig.row()).saga
    hop = await process.hop(await rig.cancel(saga))
    assert sorted(heard(hop)) == ["accepted existing", "ended compensated"]


async def test_a_cancel_by_business_key(rig: Rig) -> None:
    """Whoever does not know the id names the saga as it was started; several cancels cost one look."""
    process = await rig.process()
    await process.hop(await rig.start("o1"), await rig.start("o2"))
    rig.store.calls.clear()
    hop = await process.hop(
        await rig.cancel(name="order", business_key="o1"),
        await rig.cancel(name="order", business_key="o2", message_id="c-2"),
    )
    assert rig.store.calls["find"] == 1
    assert heard(hop) == ["accepted existing", "accepted existing"]
    assert {row.status for row in await rig.rows()} == {"compensating"}


async def test_a_cancel_of_nothing_is_refused(rig: Rig) -> None:
    """Neither id nor key is known: the caller hears so, and the message is kept."""
    process = await rig.process()
    hop = await process.handle(
        await rig.cancel("01930000-0000-7000-8000-00000000ffff"),
        await rig.cancel(name="order", business_key="nobody", message_id="c-2"),
    )
    assert heard(hop) == ["refused unknown-saga", "refused unknown-saga"]
    assert [parked.reason for parked in await rig.parked()] == ["unknown-saga", "unknown-saga"]


async def test_a_cancel_asked_twice_hears_the_same(rig: Rig) -> None:
    """Delivery is at least once: the copy, and a second cancel, hear what the first achieved."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    first = await process.hop(await rig.cancel(saga))
    copy = await process.hop(await rig.cancel(saga))
    second = await process.hop(await rig.cancel(saga, message_id="c-2"))
    assert heard(first) == heard(copy) == heard(second) == ["accepted existing"]
    assert len(copy.done) == 1


async def test_a_cancel_of_what_has_ended_is_refused(rig: Rig) -> None:
    """Completed is completed."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(await rig.reply(await rig.command("charge-service")))
    hop = await process.hop(await rig.cancel((await rig.row()).saga))
    assert heard(hop) == ["refused ended"]
    assert hop.answers[0].reason == "the saga has ended: completed"


async def test_a_cancel_repeated_after_it_was_carried_out_is_still_accepted(rig: Rig) -> None:
    """The answer was lost, the compensation was quick: the repeated question must not hear a refusal."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    command = await rig.command()
    await process.hop(await rig.reply(command, Outcome.OK))
    await process.hop(await rig.cancel(saga))
    for service in ("charge-service", "reserve-service"):
        for command in await rig.commands(service):
            if command.undoes:
                await process.hop(await rig.reply(command))
    assert (await rig.row()).status == "compensated"
    assert heard(await process.hop(await rig.cancel(saga))) == ["accepted existing"]


async def test_a_cancel_after_the_pivot_is_too_late() -> None:
    """While the pivot is undecided it may still count; after its ok it does not, and the first canceller's wish
    does not make a second one succeed."""
    rig = Rig(PIVOTAL)
    process = await rig.process()
    await process.hop(await rig.start(name="pivotal"))
    await process.hop(await rig.reply(await rig.command()))
    saga = (await rig.row()).saga
    undecided = await process.hop(await rig.cancel(saga))
    assert heard(undecided) == ["accepted existing"]
    await process.hop(await rig.reply(await rig.command("book-service")))
    late = await process.hop(await rig.cancel(saga, message_id="c-2"))
    assert heard(late) == ["refused too-late"]
    assert (await rig.row()).status == "running"


async def test_a_silent_cancel_is_carried_out(rig: Rig) -> None:
    """`reply_to` is optional."""
    process = await rig.process()
    await process.hop(await rig.start())
    hop = await process.hop(await rig.cancel((await rig.row()).saga, reply_to=""))
    assert hop.answers == []
    assert (await rig.row()).status == "compensating"


async def test_who_cancelled_is_in_the_history(rig: Rig) -> None:
    """The broker's user; the actor only from a gateway."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.cancel((await rig.row()).saga, actor="ada"))
    rows = await rig.store.history((await rig.row()).saga)
    [recorded] = [event for event in msgspec.json.decode(rows[1].data) if event["event"] == "CancelRequested"]
    assert recorded["by"] == "shop"
    assert recorded.get("actor") is None
