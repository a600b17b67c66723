"""The loops: they outlast every outage, stop in order, and lose nothing on the way."""

import asyncio
from collections.abc import Sequence

import pytest

from saga.core import events
from saga.core.errors import SchemaMismatch
from saga.core.messages import StartMessage
from saga.core.topology import wanted_topology
from saga.engine.cache import Found
from saga.engine.draft import Desk, Draft
from saga.engine.receive import QUEUES, Work
from saga.engine.settings import EngineSettings
from saga.engine.worker import Orchestrator
from saga.engine.worker.reading import Readers
from saga.ports import Bus, Outgoing, Sent, Subscription, Unavailable
from tests.unit.engine.living import QUICK, SOON_SECONDS, running, send_starts, serve, until, waiting
from tests.unit.engine.rig import SERVICES, CountingIds, ManualClock, Rig


async def test_orders_run_through(rig: Rig) -> None:
    """Starts, commands and replies until the end; every queue is empty then."""
    orders = [f"o{number}" for number in range(30)]
    async with running(rig) as engine:
        await send_starts(rig, *orders)
        await asyncio.gather(*(serve(rig, service, 30) for service in ("reserve-service", "charge-service")))
        await until(lambda: all(len(row.history) == 3 for row in rig.store._table.records.values()))
        assert engine.health.report()["missing"] == {}
    assert {row.status for row in await rig.rows()} == {"completed"}
    assert {queue: waiting(rig, queue) for queue in QUEUES} == dict.fromkeys(QUEUES, 0)
    assert engine.health.in_flight == 0


async def test_the_first_saga_of_a_process_starts_at_store_time(rig: Rig) -> None:
    """Before anything was committed the machine's own clock, an hour ahead, says nothing."""
    machine = ManualClock()
    machine.seconds = 3_600
    async with running(rig, machine=machine):
        await send_starts(rig, "o1")
        await until(lambda: waiting(rig, "saga.commands.reserve-service"))
    [commit] = await rig.store.history((await rig.row()).saga)
    assert {event.at for event in events.decode(commit.data)} == {rig.clock.now()}


async def test_a_stop_finishes_what_was_taken(rig: Rig) -> None:
    """Stopped in the middle of a commit: it is committed, published, acknowledged; nothing is left or repeated."""
    hold = asyncio.Event()
    async with running(rig) as engine:
        rig.store.before_commit = hold.wait
        await send_starts(rig, "o1")
        await until(lambda: rig.store.before_commit is None)
        engine.stop()
        hold.set()
    assert len(await rig.rows()) == 1
    assert waiting(rig) == 0
    assert waiting(rig, "saga.commands.reserve-service") == 1


async def test_a_stop_leaves_what_was_not_begun(rig: Rig) -> None:
    """Starts that wait behind a commit go back to the queue, for another orchestrator."""
    hold = asyncio.Event()
    async with running(rig) as engine:
        rig.store.before_commit = hold.wait
        await send_starts(rig, "o1")
        await until(lambda: rig.store.before_commit is None)
        await send_starts(rig, "o2", "o3")
        engine.stop()
        hold.set()
    assert [row.start_key for row in await rig.rows()] == ["k:o1"]
    assert waiting(rig) == 2


async def test_a_stop_without_a_store_acknowledges_nothing(rig: Rig) -> None:
    """What could not be committed is in its queue again when the process has gone."""
    async with running(rig) as engine:
        rig.store.fail("commit", *[Unavailable("away")] * 50)
        await send_starts(rig, "o1")
        await until(lambda: engine.health.store == "away")
    assert await rig.rows() == []
    assert waiting(rig) == 1


async def test_a_store_that_hangs_does_not_hold_up_a_stop(rig: Rig) -> None:
    """After the time for draining the process leaves; nothing was acknowledged."""
    settings = EngineSettings(wake_interval_seconds=0.001, drain_seconds=0.02)
    async with running(rig, settings):
        rig.store.before_commit = asyncio.Event().wait
        await send_starts(rig, "o1")
        await until(lambda: rig.store.before_commit is None)
    assert waiting(rig) == 1


async def test_a_store_outage_is_waited_out(rig: Rig) -> None:
    """Readiness says so meanwhile; then the same delivery is decided on, once."""
    async with running(rig) as engine:
        rig.store.fail("commit", Unavailable("postgres is away"))
        await send_starts(rig, "o1")
        await until(lambda: "postgres is away" in engine.health.missing.get("store", ""))
        assert not engine.health.ready
        await until(lambda: rig.store._table.records and engine.health.ready)
    assert waiting(rig) == 0
    assert len(await rig.rows()) == 1


async def test_an_idle_process_notices_an_outage_too(rig: Rig) -> None:
    """Without any message its alarms find out, and that it is over."""
    async with running(rig) as engine:
        rig.store.fail("claim", Unavailable("postgres is away"))
        await until(lambda: "store" in engine.health.missing)
        await until(lambda: engine.health.ready)


async def test_a_store_that_is_not_migrated_is_waited_for(rig: Rig) -> None:
    """Readiness names the migration and the command; nothing is taken from any queue until it is done."""
    rig.store.missing_migrations = ["0002_more"]
    async with running(rig, ready=False) as engine:
        await send_starts(rig, "o1")
        await until(lambda: "saga db migrate" in engine.health.missing["store"])
        assert "0002_more" in engine.health.missing["store"]
        assert engine.health.missing["queue saga.start"] == "not consumed yet"
        assert waiting(rig) == 1
        rig.store.missing_migrations = []
        await until(lambda: rig.store._table.records)
        assert engine.health.ready


async def test_tables_that_vanish_are_an_outage(rig: Rig) -> None:
    """A store restored from somewhere else: nobody loops over it hot, and nothing is acknowledged."""
    async with running(rig) as engine:
        rig.store.fail("commit", SchemaMismatch("no such table. Fix: run `saga db migrate`"))
        await send_starts(rig, "o1")
        await until(lambda: "saga db migrate" in engine.health.missing.get("store", ""))
        await until(lambda: rig.store._table.records)
    assert waiting(rig) == 0


async def test_a_missing_queue_is_named_until_it_is_there() -> None:
    """The others are read meanwhile."""
    rig = Rig()
    rig.broker.delete_queue("saga.control")
    async with running(rig, ready=False) as engine:
        await until(lambda: list(engine.health.missing) == ["queue saga.control"])
        rig.broker.apply(wanted_topology(SERVICES))
        await until(lambda: engine.health.ready)


async def test_a_queue_that_is_deleted_comes_back(rig: Rig) -> None:
    """Readiness recovers without a message having to arrive."""
    async with running(rig) as engine:
        rig.broker.delete_queue("saga.replies")
        await until(lambda: "queue saga.replies" in engine.health.missing)
        rig.broker.apply(wanted_topology(SERVICES))
        await until(lambda: engine.health.ready)
        await send_starts(rig, "o1")
        await serve(rig, "reserve-service", 1)
        await until(lambda: waiting(rig, "saga.commands.charge-service") == 1)


async def test_a_service_without_a_queue_degrades_and_does_not_stop(rig: Rig) -> None:
    """The process stays ready for the others, and says which service cannot be reached."""
    rig.broker.delete_queue("saga.commands.reserve-service")
    async with running(rig) as engine:
        await send_starts(rig, "o1")
        await until(lambda: "reserve-service" in engine.health.degraded)
        assert engine.health.ready


async def test_starts_wait_in_their_queue_while_too_much_is_open(rig: Rig) -> None:
    """Two commands may be open: the third saga is begun only when an answer has come."""
    settings = EngineSettings(wake_interval_seconds=0.001, max_in_flight=2, starts_prefetch=1)
    async with running(rig, settings) as engine:
        await send_starts(rig, "o1", "o2", "o3", "o4", "o5")
        await until(lambda: len(rig.store._table.records) == 2)
        await until(lambda: waiting(rig, "saga.commands.reserve-service") == 2)
        assert engine.health.in_flight == 2
        assert waiting(rig) >= 2
        await asyncio.gather(*(serve(rig, service, 5) for service in ("reserve-service", "charge-service")))
        await until(lambda: all(len(row.history) == 3 for row in rig.store._table.records.values()))
    assert len(await rig.rows()) == 5


async def test_a_defect_is_found_and_parked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception no step expects, about one message of many: that one is parked, the others go on."""
    real = Desk.draft

    async def draft(self: Desk, works: Sequence[Work], found: Found) -> Draft:
        if any(isinstance(work.asks, StartMessage) and work.asks.message_id == "start-o3" for work in works):
            raise ZeroDivisionError("planted")
        return await real(self, works, found)

    monkeypatch.setattr(Desk, "draft", draft)
    async with running(rig):
        await send_starts(rig, "o1", "o2", "o3", "o4")
        await until(lambda: len(rig.store._parked.rows) == 1 and len(rig.store._table.records) == 3)
    assert waiting(rig) == 0
    [parked] = await rig.parked()
    assert (parked.reason, parked.message_id) == ("engine-defect", "start-o3")


async def test_a_loop_that_dies_ends_the_process(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor can start another; a process that lives and does nothing helps nobody."""

    async def read(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Readers, "read", read)
    engine = Orchestrator(rig.store, rig.bus, rig.clock, CountingIds(), QUICK)
    with pytest.raises(ZeroDivisionError, match="planted"):
        async with asyncio.timeout(SOON_SECONDS):
            await engine.run()


class Alarmed:
    """A bus whose broker takes nothing until its alarm is over."""

    def __init__(self, inner: Bus) -> None:
        self._inner = inner
        self.over = asyncio.Event()
        self.publishing = 0

    @property
    def user(self) -> str:
        """Is known."""
        return self._inner.user

    async def consume(self, queue: str, prefetch: int) -> Subscription:
        """Is not held up."""
        return await self._inner.consume(queue, prefetch)

    async def close(self) -> None:
        """Closes."""
        await self._inner.close()

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Waits."""
        self.publishing += 1
        await self.over.wait()
        return await self._inner.publish(messages)


async def test_acknowledgements_flow_while_publishing_is_blocked(rig: Rig) -> None:
    """A broker in alarm takes no message: what is committed is acknowledged all the same, and sent when it is over."""
    bus = Alarmed(rig.bus)
    settings = EngineSettings(wake_interval_seconds=0.001, publishes_max=1)
    async with running(rig, settings, bus):
        await send_starts(rig, "o1")
        await until(lambda: bus.publishing == 1)
        await send_starts(rig, "o2")
        await until(lambda: len(rig.store._table.records) == 2)
        bus.over.set()
        await until(lambda: waiting(rig, "saga.commands.reserve-service") == 2)
    assert waiting(rig) == 0


async def test_a_stop_waits_for_what_is_being_published(rig: Rig) -> None:
    """Committed and on its way to the broker: the process leaves only when it has arrived."""
    bus = Alarmed(rig.bus)
    async with running(rig, bus=bus) as engine:
        await send_starts(rig, "o1")
        await until(lambda: bus.publishing == 1)
        engine.stop()
        asyncio.get_running_loop().call_later(0.05, bus.over.set)
    assert waiting(rig, "saga.commands.reserve-service") == 1
