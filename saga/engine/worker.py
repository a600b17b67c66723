"""The orchestrator's loops: reading, deciding, sending, waking, and stopping in order. The only module that loops."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from saga.core.errors import Unavailable
from saga.core.messages import StartMessage
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.handle import Handler, Hop
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


class Health(msgspec.Struct):
    """What this process can do now; readiness says what is missing."""

    missing: dict[str, str] = {}
    """What is missing and why, by name (`store`, `queue saga.replies`)."""
    draining: bool = False
    commits: int = 0
    works: int = 0

    @property
    def ready(self) -> bool:
        return not self.missing and not self.draining


class Orchestrator:
    """One orchestrator process. Any number of them share a store and a broker; none leads."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, ids: Ids, settings: EngineSettings) -> None:
        self.settings = settings
        self.health = Health(missing={f"queue {queue}": "not consumed yet" for queue in QUEUES})
        self._store = store
        self._bus = bus
        self._clock = clock
        self.catalog = Catalog(store, clock)
        cache = SagaCache(store, self.catalog, settings.cache_sagas_max)
        self._dispatches = Dispatches(bus, store, clock, settings.dispatched_after_seconds)
        starts = Starts(store, self.catalog, cache, ids, settings)
        self._handler = Handler(store, store, cache, starts, self._dispatches, StoreClock(clock), settings)
        self._urgent: deque[Work] = deque()
        self._starts: deque[Work] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._subscriptions: dict[str, Subscription] = {}
        self._publishing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `stop`; then drain: take nothing more, finish what was taken, publish, acknowledge, return."""
        readers = [asyncio.create_task(self._read(queue), name=f"read {queue}") for queue in QUEUES]
        timers = [
            asyncio.create_task(self._repeat(self._wake, self.settings.wake_interval_seconds), name="wake"),
            asyncio.create_task(self._repeat(self._settle, self.settings.dispatched_after_seconds / 2), name="settle"),
        ]
        deciding = asyncio.create_task(self._decide(), name="decide")
        try:
            await self._stopping.wait()
        finally:
            await self._drain(readers, timers, deciding)

    def stop(self) -> None:
        """Ask `run` to drain and return. May be called from a signal handler."""
        self.health.draining = True
        self._stopping.set()
        self._arrived.set()
        self._room.set()

    # ------------------------------------------------------------------------------------------------------- reading

    async def _read(self, queue: str) -> None:
        pause = PAUSE_FIRST_SECONDS
        while not self._stopping.is_set():
            try:
                subscription = await self._subscribe(queue)
                deliveries = await subscription.receive()
            except Unavailable as error:
                self.health.missing[f"queue {queue}"] = str(error)
                await self._pause(pause)
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
                continue
            pause = PAUSE_FIRST_SECONDS
            self.health.missing.pop(f"queue {queue}", None)
            self._take(work_of(delivery) for delivery in deliveries)
            if queue == names.QUEUE_START:
                await self._wait_for_room()

    async def _subscribe(self, queue: str) -> Subscription:
        subscription = self._subscriptions.get(queue)
        if subscription is None:
            starts = queue == names.QUEUE_START
            prefetch = self.settings.starts_prefetch if starts else self.settings.prefetch
            subscription = self._subscriptions[queue] = await self._bus.consume(queue, prefetch)
            self.health.missing.pop(f"queue {queue}", None)
        return subscription

    async def _wait_for_room(self) -> None:
        """Replies and alarms go first: starts wait in their durable queue while too much is under way."""
        while not self._stopping.is_set() and (self._starts or self._full()):
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), IDLE_RESET_SECONDS)
            except TimeoutError:
                self._dispatches.reset()
                self._arrived.set()

    def _full(self) -> bool:
        return self._dispatches.in_flight >= self.settings.max_in_flight

    def _take(self, works: Iterable[Work]) -> None:
        for work in works:
            (self._starts if isinstance(work.asks, StartMessage) else self._urgent).append(work)
        self._arrived.set()

    # ------------------------------------------------------------------------------------------------------ deciding

    async def _decide(self) -> None:
        pause = PAUSE_FIRST_SECONDS
        batch: list[Work] = []
        while True:
            if not batch:
                batch = self._next_batch()
            if not batch:
                if self._stopping.is_set():
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            try:
                hop = await self._handler.handle(batch)
            except Unavailable as error:
                self.health.missing["store"] = str(error)
                if self._stopping.is_set():
                    return  # nothing was acknowledged: the broker hands it to another orchestrator
                await self._pause(pause)
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
                continue
            pause = PAUSE_FIRST_SECONDS
            self.health.missing.pop("store", None)
            self.health.commits += 1
            self.health.works += len(batch)
            batch = []
            await self._follow_up(hop)

    def _next_batch(self) -> list[Work]:
        """Replies and alarms first; starts only while there is room. What arrived during the last commit, no linger."""
        batch: list[Work] = []
        while self._urgent and len(batch) < self.settings.batch_max:
            batch.append(self._urgent.popleft())
        room = self.settings.max_in_flight - self._dispatches.in_flight
        while self._starts and len(batch) < self.settings.batch_max and room > 0:
            batch.append(self._starts.popleft())
            room -= 1
        if not self._starts:
            self._room.set()
        return batch

    async def _follow_up(self, hop: Hop) -> None:
        if hop.again:
            self._take(hop.again)
        if hop.dispatches or hop.answers:
            while len(self._publishing) >= self.settings.publishes_max:
                await asyncio.wait(self._publishing, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._publish(hop), name="publish")
            self._publishing.add(task)
            task.add_done_callback(self._published)
        await self._acknowledge(hop.done)

    async def _publish(self, hop: Hop) -> None:
        self._take(await self._dispatches.send(hop.dispatches, hop.answers))

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publishing.discard(task)
        if not self._full():
            self._arrived.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a publish failed; alarms will send again", exc_info=error)

    async def _acknowledge(self, done: list[Delivery]) -> None:
        by_queue: dict[str, list[Delivery]] = {}
        for delivery in done:
            by_queue.setdefault(delivery.queue, []).append(delivery)
        for queue, deliveries in by_queue.items():
            try:
                await self._subscriptions[queue].settle(deliveries)
            except Unavailable:
                log.warning("acknowledgements lost; the deliveries come again", extra={"queue": queue})

    # --------------------------------------------------------------------------------------------------------- timers

    async def _wake(self) -> None:
        while works := await wake(self._store, self.settings):
            self._take(works)
            if len(works) < self.settings.wake_claim_max or self._stopping.is_set():
                return
            while self._urgent and not self._stopping.is_set():  # drain at the pace of decisions
                await self._clock.sleep(0.05)

    async def _settle(self) -> None:
        await self._dispatches.settle()

    async def _repeat(self, step: Callable[[], Awaitable[None]], interval_seconds: float) -> None:
        pause = interval_seconds
        while not self._stopping.is_set():
            try:
                await step()
                pause = interval_seconds
            except Unavailable:
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through a stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    # --------------------------------------------------------------------------------------------------------- ending

    async def _drain(
        self, readers: list[asyncio.Task[None]], timers: list[asyncio.Task[None]], deciding: asyncio.Task[None]
    ) -> None:
        self.stop()
        for task in (*readers, *timers):
            task.cancel()
        await asyncio.gather(*readers, *timers, return_exceptions=True)
        self._starts.clear()  # not begun: the broker hands them to another orchestrator
        try:
            await asyncio.wait_for(deciding, self.settings.drain_seconds)
            if self._publishing:
                await asyncio.wait(self._publishing, timeout=self.settings.drain_seconds)
            await self._dispatches.settle()
        except (TimeoutError, Unavailable):
            log.warning("drained only in part; what is left is done by the others, or after the next start")
        for subscription in self._subscriptions.values():
            await subscription.close()
