"""One orchestrator process: its loops begin, and end in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from saga.core.errors import SchemaMismatch, Unavailable
from saga.core.metrics.tally import Tallies
from saga.engine.backlog import Backlog
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler
from saga.engine.health import Health
from saga.engine.measures import Measures, show_orchestrator
from saga.engine.receive import QUEUES
from saga.engine.settings import EngineSettings
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.engine.wake import wake
from saga.engine.worker.deciding import Decider, Publishing
from saga.engine.worker.pause import Pause
from saga.engine.worker.reading import Readers
from saga.ports import Batch, Bus, Clock, Ids, Store

log = logging.getLogger("saga.engine")

WAKE_PACE_SECONDS = 0.05


class Orchestrator:
    """One orchestrator process. Any number of them share a store and a broker; none leads."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        ids: Ids,
        settings: EngineSettings,
        *,
        tallies: Tallies | None = None,
    ) -> None:
        """It counts into `tallies`, if there are any."""
        self.settings = settings
        self.health = Health()
        self._store = store
        self._clock = clock
        catalog = Catalog(store, clock)
        cache = SagaCache(store, catalog, settings.cache_sagas_max)
        now = self._now = StoreClock(clock)
        self._dispatches = Dispatches(bus, store, clock, settings.dispatched_after_seconds)
        desk = Desk(Starts(catalog, ids, settings), self._dispatches, now, settings)
        handler = Handler(store, cache, desk, self._dispatches, now)
        self._backlog = Backlog(settings)
        self._readers = Readers(bus, self._backlog, self.health, settings)
        measures = Measures(tallies, clock)
        self._publishing = Publishing(self._dispatches, self._backlog, self._readers, measures, settings.publishes_max)
        self._decider = Decider(handler, self._backlog, self._readers, self._publishing, self.health)
        self._stopping = asyncio.Event()
        self._store_usable = asyncio.Event()
        self.health.degraded = self._dispatches.unroutable
        if tallies is not None:
            show_orchestrator(tallies, self._backlog, settings)

    async def run(self) -> None:
        """Work until `stop`; then drain: take nothing more, finish what was taken, publish, acknowledge, return.

        Outages of store and broker are waited out. Raises whatever is a defect of ours, after draining.
        """
        settings = self.settings
        inward = [
            *(asyncio.create_task(self._read(queue), name=f"read {queue}") for queue in QUEUES),
            asyncio.create_task(self._repeat(self._wake, settings.wake_interval_seconds), name="wake"),
            asyncio.create_task(self._repeat(self._recall, settings.recall_interval_seconds), name="recall"),
            asyncio.create_task(self._repeat(self._settle, settings.dispatched_after_seconds / 2), name="settle"),
        ]
        deciding = asyncio.create_task(self._decider.decide(), name="decide")
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
        self._decider.stop()

    async def _read(self, queue: str) -> None:
        await self._store_usable.wait()  # what could not be decided on is better left in its queue
        await self._readers.read(queue, Pause(self._stopping))

    # --------------------------------------------------------------------------------------------------------- timers

    async def _wake(self) -> None:
        if not self._store_usable.is_set():
            await self._look_at_store()
        while works := await wake(self._store, self.settings, self._now):
            self._backlog.add(works)
            if len(works) < self.settings.wake_claim_max:
                break
            # At the pace of decisions, but never behind replies: under load there are always some.
            while self._backlog.alarms_wait and not self._stopping.is_set():
                await self._clock.sleep(WAKE_PACE_SECONDS)
        self.health.store = None

    async def _look_at_store(self) -> None:
        """Before anything is taken. Raises Unavailable, and SchemaMismatch with what to do."""
        pending = await self._store.pending()
        if pending:
            lacks = ", ".join(pending)
            raise SchemaMismatch(f"the store is not migrated: it lacks {lacks}. Fix: run `saga db migrate`")
        asked = self._now.asked()
        self._now.learn((await self._store.commit(Batch())).now, asked)  # this machine's clock may be anywhere
        self._store_usable.set()

    async def _recall(self) -> None:
        self._backlog.recall()

    async def _settle(self) -> None:
        await self._dispatches.settle()

    async def _repeat(self, step: Callable[[], Awaitable[None]], interval_seconds: float) -> None:
        pause = Pause(self._stopping, interval_seconds)
        while not self._stopping.is_set():
            try:
                await step()
            except (Unavailable, SchemaMismatch) as error:
                self.health.store = str(error)
                log.warning("the store cannot be used; waiting", extra={"code": error.code, "reason": str(error)})
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
                await self._publishing.end()
                await self._dispatches.settle()
        except (TimeoutError, Unavailable, SchemaMismatch):
            log.warning("drained only in part; what is left is done by the others, or after the next start")
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)
        await self._publishing.cut()
        await self._readers.close()
