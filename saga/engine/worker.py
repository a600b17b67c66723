"""The orchestrator's loops: reading, deciding, sending, waking, and stopping in order. The only module that loops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from saga.core.errors import SchemaMismatch, Unavailable
from saga.engine.backlog import Backlog
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler, Hop
from saga.engine.health import Health
from saga.engine.receive import QUEUES, Work, work_of
from saga.engine.settings import EngineSettings
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.engine.wake import wake
from saga.ports import Bus, Clock, Delivery, Ids, Store, Subscription
from saga.wire import names

log = logging.getLogger("saga.engine")

PAUSE_FIRST_SECONDS = 0.1
PAUSE_MAX_SECONDS = 5.0
IDLE_RESET_SECONDS = 30.0
WAKE_PACE_SECONDS = 0.05


class Readers:
    """One subscription for each queue that orchestrators read from."""

    def __init__(self, bus: Bus, backlog: Backlog, health: Health, settings: EngineSettings) -> None:
        self._bus = bus
        self._backlog = backlog
        self._health = health
        self._settings = settings
        self._subscriptions: dict[str, Subscription] = {}

    async def read(self, queue: str, pause: "Pause") -> None:
        """Take deliveries in for ever; an outage is waited out."""
        while True:
            try:
                subscription = await self._subscribed(queue)
                deliveries = await subscription.receive()
            except Unavailable as error:
                log.warning("cannot read", extra={"queue": queue, "reason": str(error)})
                if queue in self._subscriptions:
                    await pause.usual()  # the bus tries again by itself, and says so each time it fails
                else:
                    self._health.consumes(queue, str(error))
                    await pause.longer()
                continue
            pause.over()
            self._backlog.add(work_of(delivery) for delivery in deliveries)
            if queue == names.QUEUE_START:
                await self._backlog.room_for_starts(IDLE_RESET_SECONDS)

    async def acknowledge(self, done: Sequence[Delivery]) -> None:
        """Settle on each queue's own channel. Acknowledgements that are lost only bring the deliveries again."""
        by_queue: dict[str, list[Delivery]] = {}
        for delivery in done:
            by_queue.setdefault(delivery.queue, []).append(delivery)
        for queue, deliveries in by_queue.items():
            try:
                await self._subscriptions[queue].settle(deliveries)
            except Unavailable:
                log.warning("acknowledgements lost; the deliveries come again", extra={"queue": queue})

    async def close(self) -> None:
        """Stop consuming: what is not acknowledged goes back to its queue."""
        await asyncio.gather(*(subscription.close() for subscription in self._subscriptions.values()))

    async def _subscribed(self, queue: str) -> Subscription:
        subscription = self._subscriptions.get(queue)
        if subscription is None:
            starts = queue == names.QUEUE_START
            prefetch = self._settings.starts_prefetch if starts else self._settings.prefetch
            subscription = self._subscriptions[queue] = await self._bus.consume(queue, prefetch)
            self._health.consumes(queue, subscription)
        return subscription


class Pause:
    """Waits longer each time, and not through a stop."""

    def __init__(self, stopping: asyncio.Event, first_seconds: float = PAUSE_FIRST_SECONDS) -> None:
        self._stopping = stopping
        self._first_seconds = first_seconds
        self._seconds = first_seconds

    def over(self) -> None:
        """It works again."""
        self._seconds = self._first_seconds

    async def longer(self) -> None:
        """Wait, twice as long as before."""
        seconds, self._seconds = self._seconds, min(self._seconds * 2, max(PAUSE_MAX_SECONDS, self._first_seconds))
        await self.wait(seconds)

    async def usual(self) -> None:
        """Wait the usual time."""
        self.over()
        await self.wait(self._first_seconds)

    async def wait(self, seconds: float) -> None:
        """Wait this long, or until told to stop."""
        try:
            async with asyncio.timeout(seconds):  # not wait_for: in 3.11 it may swallow a cancellation
                await self._stopping.wait()
        except TimeoutError:
            return


class Orchestrator:
    """One orchestrator process. Any number of them share a store and a broker; none leads."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, ids: Ids, settings: EngineSettings) -> None:
        self.settings = settings
        self.health = Health()
        self._store = store
        self._clock = clock
        catalog = Catalog(store, clock)
        cache = SagaCache(store, catalog, settings.cache_sagas_max)
        now = StoreClock(clock)
        self._dispatches = Dispatches(bus, store, clock, settings.dispatched_after_seconds)
        desk = Desk(Starts(catalog, ids, settings.gateways), self._dispatches, now, settings.gateways)
        self._handler = Handler(store, cache, desk, self._dispatches, now)
        self._backlog = Backlog(settings)
        self._readers = Readers(bus, self._backlog, self.health, settings)
        self._stopping = asyncio.Event()
        self._store_usable = asyncio.Event()
        self._publishing: set[asyncio.Task[None]] = set()
        self.health.degraded = self._dispatches.unroutable

    async def run(self) -> None:
        """Work until `stop`; then drain: take nothing more, finish what was taken, publish, acknowledge, return.

        Outages of store and broker are waited out. Raises whatever is a defect of ours, after draining.
        """
        settings = self.settings
        inward = [
            *(asyncio.create_task(self._read(queue), name=f"read {queue}") for queue in QUEUES),
            asyncio.create_task(self._repeat(self._wake, settings.wake_interval_seconds), name="wake"),
            asyncio.create_task(self._repeat(self._settle, settings.dispatched_after_seconds / 2), name="settle"),
        ]
        deciding = asyncio.create_task(self._decide(), name="decide")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({*inward, deciding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._drain(inward, deciding)
        for task in (*inward, deciding):
            if not task.cancelled():
                task.result()

    def stop(self) -> None:
        """Ask `run` to drain and return. May be called from a signal handler."""
        self.health.draining = True
        self._stopping.set()
        self._backlog.begin_no_more()

    async def _read(self, queue: str) -> None:
        await self._store_usable.wait()  # what could not be decided on is better left in its queue
        await self._readers.read(queue, Pause(self._stopping))

    # ------------------------------------------------------------------------------------------------------ deciding

    async def _decide(self) -> None:
        pause = Pause(self._stopping)
        while True:
            batch = self._backlog.next_batch()
            if not batch:
                if self._stopping.is_set():
                    return
                await self._backlog.arrival()
                continue
            try:
                hop = await self._handled(batch)
            except (Unavailable, SchemaMismatch) as error:
                self._backlog.put_back(batch)
                self.health.store = str(error)
                log.warning("the store cannot be used; nothing is decided", extra={"reason": str(error)})
                if self._stopping.is_set():
                    return  # nothing was acknowledged: the broker hands it to another orchestrator
                await pause.longer()
                continue
            pause.over()
            self.health.store = None
            self.health.commits += 1
            self.health.works += len(batch)
            await self._follow_up(hop)

    async def _handled(self, batch: Sequence[Work]) -> Hop:
        """Decide, whatever a defect does: the work that no batch can hold is found by halving, and parked."""
        try:
            return await self._handler.handle(batch)
        except (Unavailable, SchemaMismatch):
            raise
        except Exception as error:
            log.exception("a batch could not be handled", extra={"works": len(batch)})
            if len(batch) == 1:
                return await self._handler.give_up(batch[0], error)
            self._backlog.put_back(batch[len(batch) // 2 :])
            return await self._handled(batch[: len(batch) // 2])

    async def _follow_up(self, hop: Hop) -> None:
        self._backlog.opened(hop.opened)
        self.health.in_flight = self._backlog.in_flight
        if hop.again:
            self._backlog.add(hop.again)
        if hop.dispatches or hop.answers:
            if len(self._publishing) >= self.settings.publishes_max:
                await self._readers.acknowledge(hop.done)  # acks must flow while a broker in alarm takes nothing
                hop.done = []
                await asyncio.wait(self._publishing, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._publish(hop), name="publish")
            self._publishing.add(task)
            task.add_done_callback(self._published)
        await self._readers.acknowledge(hop.done)

    async def _publish(self, hop: Hop) -> None:
        self._backlog.add(await self._dispatches.send(hop.dispatches, hop.answers))

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publishing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a publish failed; alarms will send again", exc_info=error)

    # --------------------------------------------------------------------------------------------------------- timers

    async def _wake(self) -> None:
        if not self._store_usable.is_set():
            await self._look_at_store()
        while works := await wake(self._store, self.settings):
            self._backlog.add(works)
            if len(works) < self.settings.wake_claim_max:
                break
            while self._backlog.busy and not self._stopping.is_set():  # at the pace of decisions
                await self._clock.sleep(WAKE_PACE_SECONDS)
        self.health.store = None

    async def _look_at_store(self) -> None:
        """Before anything is taken. Raises Unavailable, and SchemaMismatch with what to do."""
        pending = await self._store.pending()
        if pending:
            lacks = ", ".join(pending)
            raise SchemaMismatch(f"the store is not migrated: it lacks {lacks}. Fix: run `saga db migrate`")
        self._store_usable.set()

    async def _settle(self) -> None:
        await self._dispatches.settle()

    async def _repeat(self, step: Callable[[], Awaitable[None]], interval_seconds: float) -> None:
        pause = Pause(self._stopping, interval_seconds)
        while not self._stopping.is_set():
            try:
                await step()
            except (Unavailable, SchemaMismatch) as error:
                self.health.store = str(error)
                log.warning("the store cannot be used; waiting", extra={"reason": str(error)})
                await pause.longer()
            else:
                await pause.usual()

    # --------------------------------------------------------------------------------------------------------- ending

    async def _drain(self, inward: Sequence[asyncio.Task[None]], deciding: asyncio.Task[None]) -> None:
        self.stop()
        for task in inward:
            task.cancel()
        await asyncio.gather(*inward, return_exceptions=True)
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await asyncio.wait({deciding})
                if self._publishing:
                    await asyncio.wait(self._publishing)
                await self._dispatches.settle()
        except (TimeoutError, Unavailable, SchemaMismatch):
            log.warning("drained only in part; what is left is done by the others, or after the next start")
        for task in (deciding, *self._publishing):
            task.cancel()
        await asyncio.gather(deciding, *self._publishing, return_exceptions=True)
        await self._readers.close()
