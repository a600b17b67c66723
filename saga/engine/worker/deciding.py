"""The loop that decides: one commit at a time, and what follows from each is published while the next one runs."""

import asyncio
import logging
from collections.abc import Sequence

from saga.core.errors import SchemaMismatch, Unavailable
from saga.engine.backlog import Backlog
from saga.engine.dispatch import Dispatches
from saga.engine.handle import Handler, Hop
from saga.engine.health import Health
from saga.engine.measures import Measures
from saga.engine.receive import Work
from saga.engine.worker.pause import Pause
from saga.engine.worker.reading import Readers

log = logging.getLogger("saga.engine")

CONTENTION_FIRST_SECONDS = 0.001
CONTENTION_MAX_SECONDS = 0.25


class Publishing:
    """Batches on their way to the broker, a few at once."""

    def __init__(
        self, dispatches: Dispatches, backlog: Backlog, readers: Readers, measures: Measures, batches_max: int
    ) -> None:
        self.measures = measures
        self._dispatches = dispatches
        self._backlog = backlog
        self._readers = readers
        self._batches_max = batches_max
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Another batch has to wait."""
        return len(self._under_way) >= self._batches_max

    async def room(self) -> None:
        """Wait until one of the batches is through."""
        while self.full:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    def begin(self, hop: Hop) -> None:
        """Send what a commit led to; what the sagas must know of it becomes work."""
        task = asyncio.create_task(self._publish(hop), name="publish")
        self._under_way.add(task)
        task.add_done_callback(self._published)

    async def end(self) -> None:
        """Wait until all are through; the caller sets the deadline."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def cut(self) -> None:
        """Leave what is under way: alarms send it again."""
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _publish(self, hop: Hop) -> None:
        heard = self.measures.hearing(hop.facts.committed_at)
        self._backlog.add(await self._dispatches.send(hop.dispatches, hop.answers, heard))
        done, again = await self._dispatches.refuse(hop.turned_away)
        self._backlog.hold(again)  # not at once: a broker that takes nothing would be asked as fast as possible
        await self._readers.acknowledge(done)

    def _published(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a publish failed; alarms will send again", exc_info=error)


class Decider:
    """Takes batches from the backlog, has them decided, and follows up."""

    def __init__(
        self, handler: Handler, backlog: Backlog, readers: Readers, publishing: Publishing, health: Health
    ) -> None:
        self._handler = handler
        self._backlog = backlog
        self._readers = readers
        self._publishing = publishing
        self._health = health
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish what was taken, then return."""
        self._stopping.set()
        self._backlog.begin_no_more()

    async def decide(self) -> None:
        """Decide on what arrives, until told to stop and nothing is left. An outage of the store is waited out."""
        pause = Pause(self._stopping)
        contention = Pause(self._stopping, CONTENTION_FIRST_SECONDS, CONTENTION_MAX_SECONDS)
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
                self._health.store = str(error)
                log.warning("the store cannot be used; nothing is decided", extra={"reason": str(error)})
                if self._stopping.is_set():
                    return  # nothing was acknowledged: the broker hands it to another orchestrator
                await pause.longer()
                continue
            pause.over()
            self._health.store = None
            self._health.commits += 1
            self._health.works += len(batch)
            await self._follow_up(hop)
            self._publishing.measures.count(hop.facts)
            if hop.again and not (hop.done or hop.dispatches):
                await contention.longer()  # somebody holds these rows: asking as fast as possible frees none of them
            else:
                contention.over()

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
            hop = await self._handled(batch[: len(batch) // 2])
            self._backlog.put_back(batch[len(batch) // 2 :])
            return hop

    async def _follow_up(self, hop: Hop) -> None:
        self._backlog.opened(hop.opened, hop.answered)
        self._health.in_flight = self._backlog.in_flight
        if hop.again:
            self._backlog.add(hop.again)
        if hop.early:
            self._backlog.hold(hop.early)
        if hop.dispatches or hop.answers or hop.turned_away:
            if self._publishing.full:
                await self._readers.acknowledge(hop.done)  # acks must flow while a broker in alarm takes nothing
                hop.done = []
                await self._publishing.room()
            self._publishing.begin(hop)
        await self._readers.acknowledge(hop.done)
