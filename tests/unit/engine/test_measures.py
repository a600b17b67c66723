"""What an orchestrator counts: after the commit, from what was committed, and from nobody's own words."""

import asyncio
from datetime import timedelta

from saga import wire
from saga.adapters.memory.bus import Fate
from saga.core.messages import Outcome
from saga.core.metrics import catalogue as m
from saga.core.metrics.tally import Tallies
from saga.engine.measures import Measures, queue_label, worded
from saga.engine.settings import EngineSettings
from saga.engine.wake import wake
from saga.engine.worker import Orchestrator
from saga.ports import Outgoing, Sent, Unavailable
from tests.metrics import counted, points
from tests.unit.engine.living import send_starts, serve, until
from tests.unit.engine.rig import CountingIds, Process, Rig

SECRET = "hunter2"


class Counting:
    """A process whose batches are counted."""

    def __init__(self, rig: Rig, process: Process) -> None:
        self.tallies = Tallies()
        self._measures = Measures(self.tallies, rig.clock)
        self._process = process
        self._clock = rig.clock

    async def hop(self, *deliveries: object, sent_after_seconds: float = 0.0) -> None:
        """Decide one batch, publish what follows, count."""
        hop = await self._process.handle(*deliveries)  # type: ignore[arg-type]  # as `handle` takes them
        heard = self._measures.hearing(hop.facts.committed_at)
        self._clock.seconds += sent_after_seconds
        await self._process.dispatches.send(hop.dispatches, hop.answers, heard)
        self._measures.count(hop.facts)


async def test_a_batch_is_counted_from_its_commit(rig: Rig) -> None:
    """Two starts and an answer: sagas, steps, one commit each time, and how long each command took to be confirmed."""
    counting = Counting(rig, await rig.process())
    starts = [await rig.start("o1"), await rig.start("o2")]
    await counting.hop(*starts, sent_after_seconds=0.02)
    first, _ = await rig.commands("reserve-service")
    await counting.hop(await rig.reply(first))
    found = counting.tallies
    assert counted(found, m.STARTED) == {("order",): 2}
    assert counted(found, m.COMMIT_DURATION) == {(): 2}
    assert points(found, m.COMMIT_SAGAS)[()].value == 3
    assert counted(found, m.DISPATCH_LAG) == {(): 3}
    assert points(found, m.DISPATCH_LAG)[()].counts[4] == 2  # within 25 ms
    assert counted(found, m.STEP_DURATION) == {("order", "reserve", "action", "ok"): 1}


async def test_what_was_not_committed_is_not_counted(rig: Rig) -> None:
    """The store is away: the same batch again counts once."""
    counting = Counting(rig, await rig.process())
    start = await rig.start("o1")
    rig.store.fail("commit", Unavailable("away"))
    try:
        await counting.hop(start)
    except Unavailable:
        assert counted(counting.tallies, m.STARTED) == {}
    await counting.hop(start)
    assert counted(counting.tallies, m.STARTED) == {("order",): 1}


async def test_who_loses_a_race_counts_nothing_but_the_race(rig: Rig) -> None:
    """The winner counts what was committed."""
    one, other = Counting(rig, await rig.process()), await rig.process()
    await one.hop(await rig.start("o1"))
    command = await rig.command()
    answer, again = await rig.reply(command), await rig.reply(command, handler_time=timedelta(seconds=1))
    rig.store.before_commit = lambda: other.hop(again)
    await one.hop(answer)
    assert counted(one.tallies, m.CONFLICTS) == {(): 1}
    assert counted(one.tallies, m.STEP_DURATION) == {}


async def test_duplicates_are_absorbed(rig: Rig) -> None:
    """A start and an answer that came twice changed nothing."""
    counting = Counting(rig, await rig.process())
    await counting.hop(await rig.start("o1"))
    await counting.hop(await rig.start("o1"))
    command = await rig.command()
    await counting.hop(await rig.reply(command))
    await counting.hop(await rig.reply(command))
    assert counted(counting.tallies, m.DUPLICATES) == {("start",): 1, ("reply",): 1}
    assert counted(counting.tallies, m.STARTED) == {("order",): 1}


async def test_refused_and_parked_messages(rig: Rig) -> None:
    """A key used for another input is refused; what cannot be read is parked, and its caller is told."""
    counting = Counting(rig, await rig.process())
    await counting.hop(await rig.start("o1"))
    await counting.hop(await rig.start("o1", input=b'{"id":"o1","note":"other"}'))
    await counting.hop(await rig.start("o2", name="nothing"))
    found = counting.tallies
    assert counted(found, m.REFUSED) == {("start", "key-reused"): 1, ("start", "unknown-definition"): 1}
    assert counted(found, m.MESSAGES_PARKED) == {("saga.start", "unknown-definition"): 1}


async def test_what_participants_park_is_not_believed(rig: Rig) -> None:
    """Queue and reason of a message from elsewhere are headers: what is not ours is `other`."""
    counting = Counting(rig, await rig.process())
    parked = [
        Outgoing(
            exchange="saga.parking",
            routing_key="saga.commands.charge-service",
            body=SECRET.encode(),
            message_id=f"p-{number}",
            type="",
            headers={wire.names.ORIGIN_QUEUE: queue, wire.names.PARK_REASON: reason},
        )
        for number, (queue, reason) in enumerate(
            [("saga.commands.charge-service", "not-json"), (SECRET, SECRET), (f"saga.commands.{SECRET}", "not-json")]
        )
    ]
    await counting.hop(*await rig.arrive("saga.parking", *parked, sender="charge-service"))
    found = counting.tallies
    assert counted(found, m.MESSAGES_PARKED) == {("saga.commands", "not-json"): 2, ("other", "other"): 1}
    assert SECRET not in str(found.read())


async def test_commands_that_reach_no_queue(rig: Rig) -> None:
    """Returned by the broker: counted as such, and no lag."""
    counting = Counting(rig, await rig.process())
    rig.treat_commands(Fate(copies=0, sent=Sent("returned")))
    await counting.hop(await rig.start("o1"))
    assert counted(counting.tallies, m.UNCONFIRMED) == {("returned",): 1}
    assert counted(counting.tallies, m.DISPATCH_LAG) == {}


async def test_a_late_wake_up_is_timed(rig: Rig) -> None:
    """From when the alarm was to ring to the commit it led to."""
    process = await rig.process()
    counting = Counting(rig, process)
    await counting.hop(await rig.start("o1"))
    due = (await rig.row()).wake_at
    assert due is not None
    rig.clock.seconds += (due - rig.clock.now()).total_seconds() + 40
    await counting.hop(*await wake(rig.store, process.settings, process.clock))
    late = points(counting.tallies, m.WAKE_LAG)
    assert late == {} or late[()].value == 40.0
    assert counted(counting.tallies, m.WAKE_LAG) == {(): 1}


async def test_a_whole_process_counts_and_shows_itself(rig: Rig) -> None:
    """The loops count every order once; gauges say what the process is like."""
    for each in rig._plans:
        await rig.publish(each)
    tallies = Tallies()
    settings = EngineSettings(wake_interval_seconds=0.001, dispatched_after_seconds=0.01)
    engine = Orchestrator(rig.store, rig.bus, rig.clock, CountingIds(), settings, tallies=tallies)
    running = asyncio.create_task(engine.run())
    await send_starts(rig, *(f"o{number}" for number in range(30)))
    await asyncio.gather(*(serve(rig, service, 30) for service in ("reserve-service", "charge-service")))
    await until(lambda: counted(tallies, m.ENDED) == {("order", "completed"): 30})
    assert counted(tallies, m.STARTED) == {("order",): 30}
    assert counted(tallies, m.DISPATCH_LAG) == {(): 60}
    assert counted(tallies, m.IN_FLIGHT) == {(): 0}
    assert counted(tallies, m.IN_FLIGHT_MAX) == {(): 2_000}
    engine.stop()
    await running


def test_labels_of_what_others_say() -> None:
    """Only what we named ourselves."""
    assert [queue_label(queue) for queue in ("saga.start", "saga.commands.x", "x")] == [
        "saga.start",
        "saga.commands",
        "other",
    ]
    assert [worded(code) for code in ("forged-sender", "engine-defect", Outcome.OK, SECRET)] == [
        "forged-sender",
        "engine-defect",
        "other",
        "other",
    ]
