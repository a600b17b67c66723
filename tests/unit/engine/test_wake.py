"""Alarms: claimed by one, set anew when nothing is due, and what a crash left unsent is sent."""

from datetime import timedelta

import msgspec

from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.engine.time import StoreClock
from saga.engine.wake import wake
from saga.ports import CommitUnknown, Unavailable
from tests.unit.engine.rig import ManualClock, Rig


async def test_an_alarm_is_claimed_by_one(rig: Rig) -> None:
    """Until the lease is over nobody else gets the saga."""
    process = await rig.process()
    await process.hop(await rig.start())
    assert await wake(rig.store, rig.settings, StoreClock(rig.clock)) == []
    rig.clock.seconds += 11
    [work] = await wake(rig.store, rig.settings, StoreClock(rig.clock))
    assert (work.saga, work.asks) == ((await rig.row()).saga, None)
    assert await wake(rig.store, rig.settings, StoreClock(rig.clock)) == []
    rig.clock.seconds += rig.settings.wake_lease_seconds + 1
    assert len(await wake(rig.store, rig.settings, StoreClock(rig.clock))) == 1


async def test_an_alarm_with_nothing_due_is_set_anew(rig: Rig) -> None:
    """The dispatch is known to have arrived: the next look is at the attempt's own timeout, and costs no history."""
    process = await rig.process()
    await process.hop(await rig.start())
    rig.clock.seconds += 2
    await process.dispatches.settle()
    rig.clock.seconds += 9
    hop = await process.tick()
    assert hop.dispatches == []
    row = await rig.row()
    assert row.version == 1
    assert row.wake_at is not None
    assert (row.wake_at - row.started_at).total_seconds() > 0
    rig.clock.seconds = 29
    assert await wake(rig.store, rig.settings, StoreClock(rig.clock)) == []
    rig.clock.seconds = 31
    assert len(await wake(rig.store, rig.settings, StoreClock(rig.clock))) == 1


async def test_a_timeout_is_an_attempt(rig: Rig) -> None:
    """Nothing heard within the step's timeout: the next attempt follows under another message id, with the same key."""
    process = await rig.process()
    await process.hop(await rig.start())
    first = await rig.command()
    for _ in range(6):
        rig.clock.seconds += 31
        await process.tick()
        if rig.broker.ready_count("saga.commands.reserve-service"):
            break
    second = await rig.command()
    assert (second.key, second.attempt) == (first.key, 2)
    assert second.message_id != first.message_id


async def test_what_a_crash_left_unsent_is_sent_by_another(rig: Rig) -> None:
    """The first process dies between commit and publish; ten seconds later another one sends the same attempt."""
    one, two = await rig.process(), await rig.process()
    hop = await one.handle(await rig.start())
    lost = hop.dispatches[0].commands[0][0]
    rig.clock.seconds += 9
    await two.tick()
    assert rig.broker.ready_count("saga.commands.reserve-service") == 0
    rig.clock.seconds += 2
    await two.tick()
    assert (await rig.command()).message_id == lost.message_id
    assert (await rig.row()).version == 1


async def test_what_is_known_to_be_sent_is_not_sent_again(rig: Rig) -> None:
    """Written down by one process after a second, read by the other."""
    one, two = await rig.process(), await rig.process()
    await one.hop(await rig.start())
    await rig.command()
    rig.clock.seconds += 2
    await one.dispatches.settle()
    rig.clock.seconds += 9
    await two.tick()
    assert rig.broker.ready_count("saga.commands.reserve-service") == 0


async def test_an_alarm_that_cannot_be_set_anew_rings_when_its_lease_ends(rig: Rig) -> None:
    """The re-send of the same step is not lost with it."""
    process = await rig.process()
    hop = await process.handle(await rig.start())
    assert len(hop.dispatches) == 1  # never published
    rig.clock.seconds += 11
    rig.store.fail("rearm", Unavailable("gone"))
    await process.tick()
    await rig.command()
    rig.clock.seconds += rig.settings.wake_lease_seconds + 1
    assert len(await wake(rig.store, rig.settings, StoreClock(rig.clock))) == 1


async def test_an_alarm_of_an_ended_saga_does_nothing(rig: Rig) -> None:
    """Nor does one of a saga that does not exist."""
    process = await rig.process()
    await process.hop(await rig.start())
    claimed = [*await _due(rig), *await wake(rig.store, rig.settings, StoreClock(rig.clock))]
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(await rig.reply(await rig.command("charge-service")))
    strange = msgspec.structs.replace(claimed[0], saga="01930000-0000-7000-8000-00000000ffff")
    hop = await process.handle(*claimed, strange)
    assert (hop.dispatches, hop.again, hop.done) == ([], [], [])
    assert (await rig.row()).wake_at is None


async def _due(rig: Rig) -> list[Work]:
    rig.clock.seconds += 11
    return list(await wake(rig.store, rig.settings, StoreClock(rig.clock)))


async def test_as_many_are_claimed_at_once_as_told() -> None:
    """The rest stays for the next look, or for another process."""
    rig = Rig(settings=EngineSettings(wake_claim_max=3))
    process = await rig.process()
    await process.hop(*[await rig.start(f"o{number}") for number in range(5)])
    rig.clock.seconds += 11
    counts = [len(await wake(rig.store, rig.settings, StoreClock(rig.clock))) for _ in range(3)]
    assert counts == [3, 2, 0]


async def test_the_alarm_is_earlier_only_when_something_is_due_earlier(rig: Rig) -> None:
    """An ordinary hop leaves `wake_at` alone: it is a lower bound, not a timer."""
    process = await rig.process()
    await process.hop(await rig.start())
    before = (await rig.row()).wake_at
    rig.clock.seconds += 1
    await process.hop(await rig.reply(await rig.command()))
    assert (await rig.row()).wake_at == before


async def test_an_alarm_set_meanwhile_by_another_process_survives_a_hop(rig: Rig) -> None:
    """The row is read before the commit; what somebody set in between is due earlier and must not be lost."""
    process = await rig.process()
    await process.hop(await rig.start())
    row = await rig.row()
    soon = rig.clock.now() + timedelta(seconds=3)
    reply = await rig.reply(await rig.command())
    rig.store.before_commit = lambda: rig.store.rearm({row.saga: (1, soon)})
    await process.hop(reply)
    assert (await rig.row()).wake_at == soon


async def test_a_lost_commit_answer_of_a_claim_is_only_a_late_look(rig: Rig) -> None:
    """An unknown commit while ticking leaves the work to be done again, with the same result."""
    process = await rig.process()
    await process.hop(await rig.start())
    await rig.command()
    rig.clock.seconds += 2
    await process.dispatches.settle()
    rig.clock.seconds = 31
    rig.store.lost_answers.append(CommitUnknown("no answer"))
    await process.tick()
    assert (await rig.row()).version == 2


async def test_a_machine_that_slept_rings_when_it_wakes(rig: Rig) -> None:
    """Its clock stood still meanwhile, and nothing was committed that would have told the time."""
    machine = ManualClock()
    process = await rig.process(machine)
    await process.hop(await rig.start())
    await process.dispatches.settle()
    rig.clock.seconds += 8 * 3_600
    await process.tick()
    assert (await rig.row()).version == 2


async def test_a_machine_that_is_ahead_rings_nothing_early(rig: Rig) -> None:
    """It knows its own clock only; the alarm is a lower bound, and the attempt has time until second 30."""
    await (await rig.process()).hop(await rig.start())
    rig.clock.seconds += 11
    machine = ManualClock()
    machine.seconds = 3_600
    process = await rig.process(machine)
    await process.tick()
    assert (await rig.row()).version == 1
    rig.clock.seconds += 20
    await process.tick()
    assert (await rig.row()).version == 2
