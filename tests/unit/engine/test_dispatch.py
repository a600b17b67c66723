"""Sending: what reaches no queue stops its clock, what is in doubt is left to the alarm, and little is written down."""

from collections.abc import Mapping

import pytest

from saga.adapters.memory.bus import Fate
from saga.core.blocks import Branch, Parallel
from saga.core.inputs import Delivered, Pause, Resume, Undelivered
from saga.core.messages import Outcome
from saga.engine import dispatch
from saga.engine.dispatch import Wanted, dispatch_of, wanted
from saga.engine.operate import operate
from saga.ports import Sent, Unavailable
from tests.builders import NOW, Case, plan, step
from tests.unit.engine.rig import Rig

LOST = Fate(copies=0, sent=Sent("unknown", "no confirm"))


async def test_a_command_without_a_queue_waits_for_delivery(rig: Rig) -> None:
    """Returned by the broker: the saga says which service has no queue, and its attempt does not time out."""
    process = await rig.process()
    rig.broker.delete_queue("saga.commands.reserve-service")
    await process.hop(await rig.start())
    row = await rig.row()
    assert (row.status, row.wait_kind, row.version) == ("running", "delivery", 2)
    assert "no queue for reserve-service" in row.wait_text
    assert "reserve-service" in process.dispatches.unroutable


async def test_what_was_returned_is_not_sent_again_at_once(rig: Rig) -> None:
    """The commit that says so does not publish it again: that is the alarm's work."""
    process = await rig.process()
    rig.broker.delete_queue("saga.commands.reserve-service")
    hop = await process.handle(await rig.start())
    [feedback] = await process.dispatches.send(hop.dispatches, [])
    assert isinstance(feedback.asks, Undelivered)
    recorded = await process.handle(feedback)
    assert recorded.dispatches == []


async def test_it_goes_on_when_the_queue_appears(rig: Rig) -> None:
    """The alarm sends the same attempt again; confirmed, its clock starts, and nothing was compensated."""
    process = await rig.process()
    rig.broker.delete_queue("saga.commands.reserve-service")
    await process.hop(await rig.start())
    for _ in range(3):
        rig.clock.seconds += 60
        await process.tick()
    assert (await rig.row()).version == 2, "waiting costs no history"
    rig.declare()
    rig.clock.seconds += 60
    await process.tick()
    row = await rig.row()
    assert (row.wait_kind, row.version) == ("reply", 3)
    assert process.dispatches.unroutable == {}
    command = await rig.command()
    assert command.attempt == 1
    await process.hop(await rig.reply(command))
    assert "charge" in (await rig.row()).wait_text


async def test_an_unknown_publish_is_left_to_the_alarm(rig: Rig) -> None:
    """Nothing is recorded; ten seconds later the same attempt is sent again under the same id."""
    process = await rig.process()
    rig.treat_commands(Fate(copies=0, sent=Sent("unknown", "no confirm")))
    await process.hop(await rig.start())
    assert process.dispatches.confirmed_version((await rig.row()).saga) == 0
    assert (await rig.row()).version == 1
    rig.treat_commands(Fate())
    rig.clock.seconds += 9
    await process.tick()
    assert rig.broker.ready_count("saga.commands.reserve-service") == 0
    rig.clock.seconds += 2
    await process.tick()
    command = await rig.command()
    assert command.attempt == 1
    assert (await rig.row()).version == 1


async def test_an_unknown_publish_that_arrived_changes_nothing(rig: Rig) -> None:
    """Its reply is taken like any other, though nobody confirmed the command."""
    process = await rig.process()
    rig.treat_commands(Fate(sent=Sent("unknown", "no confirm")))
    await process.hop(await rig.start())
    hop = await process.hop(await rig.reply(await rig.command()))
    assert len(hop.dispatches) == 1


async def test_a_refused_publish_says_why_it_waits(rig: Rig) -> None:
    """No right to write, or too large: the broker's words are the wait reason."""
    process = await rig.process()
    rig.treat_commands(Fate(copies=0, sent=Sent("refused", "403 no access")))
    await process.hop(await rig.start())
    assert "403 no access" in (await rig.row()).wait_text


async def test_dispatched_version_is_written_only_for_those_who_wait(rig: Rig) -> None:
    """Not before a second has passed, and never for a saga that has moved on."""
    process = await rig.process()
    await process.hop(await rig.start("quick"))
    quick = await rig.command()
    await process.hop(await rig.start("slow"))
    rig.clock.seconds += 0.9
    assert await process.dispatches.settle() == 0
    await process.hop(await rig.reply(quick))
    await process.hop(await rig.reply(await rig.command("charge-service")))
    rig.clock.seconds += 0.2
    assert await process.dispatches.settle() == 1
    versions = {row.start_key: row.dispatched_version for row in await rig.rows()}
    assert versions == {"k:quick": 0, "k:slow": 1}
    assert await process.dispatches.settle() == 0
    assert rig.store.calls["dispatched"] == 1


async def test_however_many_still_wait_all_are_written_down(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches: ten thousand timers of one second are not sent again by others because that took too long."""
    monkeypatch.setattr(dispatch, "SETTLE_BATCH_MAX", 2)
    process = await rig.process()
    await process.hop(*[await rig.start(f"o{number}") for number in range(5)])
    rig.clock.seconds += 2
    assert await process.dispatches.settle() == 5
    assert rig.store.calls["dispatched"] == 3
    assert [row.dispatched_version for row in await rig.rows()] == [1] * 5


async def test_a_step_that_is_sent_while_another_is_written_down_is_not_forgotten(rig: Rig) -> None:
    """Its own turn comes a second later."""
    process = await rig.process()
    await process.hop(await rig.start())
    first = await rig.command()
    rig.clock.seconds += 2
    wakes = rig.store.dispatched

    async def meanwhile(versions: Mapping[str, int]) -> None:
        rig.store.dispatched = wakes  # type: ignore[method-assign]  # once
        await process.hop(await rig.reply(first))
        await wakes(versions)

    rig.store.dispatched = meanwhile  # type: ignore[method-assign]  # something happens in between
    assert await process.dispatches.settle() == 1
    rig.clock.seconds += 2
    assert await process.dispatches.settle() == 1
    assert (await rig.row()).dispatched_version == 2


async def test_a_reply_faster_than_its_confirm_is_not_written_down(rig: Rig) -> None:
    """The confirms of a batch come together, so a reply may be handled first; the confirm then has nothing to say."""
    process = await rig.process()
    hop = await process.handle(await rig.start())
    assert await process.dispatches.send(hop.dispatches, []) == []
    command = await rig.command()
    moved = await process.handle(await rig.reply(command, Outcome.FAILED))
    assert moved.dispatches == []
    await process.dispatches.send(hop.dispatches, [])
    rig.clock.seconds += 5
    assert await process.dispatches.settle() == 0


async def test_a_store_that_is_away_is_told_later(rig: Rig) -> None:
    """What could not be written down stays to be written down."""
    process = await rig.process()
    await process.hop(await rig.start())
    rig.clock.seconds += 2
    rig.store.fail("dispatched", Unavailable("away"))
    with pytest.raises(Unavailable):
        await process.dispatches.settle()
    assert await process.dispatches.settle() == 1


async def test_answers_that_reach_nobody_trouble_nobody(rig: Rig) -> None:
    """A caller whose queue is gone: the answer is dropped by the broker, and the saga goes on."""
    process = await rig.process()
    hop = await process.handle(await rig.start(reply_to="shop.gone"))
    assert await process.dispatches.send(hop.dispatches, hop.answers) == []


async def test_an_answer_during_a_pause_proves_nothing_about_a_sibling() -> None:
    """Nothing is outstanding while a saga is paused; what never reached its queue is sent when it is resumed."""
    branches = (Branch(path="left", body=(step("reserve"),)), Branch(path="right", body=(step("charge"),)))
    rig = Rig(plan(Parallel(path="both", branches=branches)))
    process = await rig.process()
    rig.broker.fate = lambda message: LOST if message.routing_key.startswith("charge") else Fate()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    rig.treat_commands(Fate())
    await operate(rig.store, rig.clock, saga, Pause(now=NOW, actor="ada", reason="the bank is away"))
    await process.hop(await rig.reply(await rig.command()))
    assert process.dispatches.confirmed_version(saga) == 0
    await operate(rig.store, rig.clock, saga, Resume(now=NOW, actor="ada", reason="it is back"))
    await process.tick()
    assert (await rig.command("charge-service")).attempt == 1


def test_an_older_command_in_doubt_keeps_the_claim_back() -> None:
    """While an earlier command may not have arrived, a later confirm does not prove that everything has."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    sure = wanted(case.plan, case.state, after_version=1, known_version=1)
    assert sure == Wanted(dispatch_of(case.plan, case.state, 1), proven=True)
    case.when(_returned(case))
    late = wanted(case.plan, case.state, after_version=2, known_version=0)
    assert late.dispatch is None
    again = dispatch_of(case.plan, case.state, after_version=case.state.version)
    assert again is not None
    assert [delayed for _, delayed in again.commands] == [True]
    case.when(_confirmed(case))
    assert dispatch_of(case.plan, case.state, after_version=case.state.version) is None
    doubtful = wanted(case.plan, case.state, after_version=case.state.version, known_version=0)
    assert doubtful == Wanted(None, proven=False)


def _returned(case: Case) -> Undelivered:
    sent = case.sent("b")
    return Undelivered(
        now=case.now,
        path="b",
        kind=sent.kind,
        execution=sent.execution,
        attempt=sent.attempt,
        detail="no queue for b-service",
    )


def _confirmed(case: Case) -> Delivered:
    sent = case.sent("b")
    return Delivered(now=case.now, path="b", kind=sent.kind, execution=sent.execution, attempt=sent.attempt)
