"""Work that has arrived and was not decided yet. Replies and alarms go first; starts wait while too much is open.

What is too early is held: unacknowledged, and looked at again now and then. That is a signal that came before its saga,
and a command whose refusal no broker takes.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from saga.core.messages import StartMessage
from saga.core.nearing import NEAR_PERCENT
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings

log = logging.getLogger("saga.engine")

OVER_PERCENT = 50
"""Below it, the next time that the limit comes near is news again."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Backlog:
    """Two lines of work, what is held, and how many commands wait for an answer.

    `in_flight` counts what this process saw open and close. A command opened by one orchestrator may be closed by
    another, so one process alone may be wrong, and below zero; the sum over all of them is right, and that is what
    bounds the queues of the participants.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._urgent: deque[Work] = deque()
        self._starts: deque[Work] = deque()
        self._held: deque[Work] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._in_flight = 0
        self._closed = 0
        """Rises whenever something that was open is closed."""
        self._is_near = False
        self._ending = False

    @property
    def in_flight(self) -> int:
        """Commands known to be unanswered, as far as this process knows."""
        return self._in_flight

    @property
    def starts_waiting(self) -> int:
        """Starts that were taken and wait for room."""
        return len(self._starts)

    @property
    def alarms_wait(self) -> bool:
        """There are alarms to decide on."""
        return any(work.asks is None for work in self._urgent)

    def opened(self, count: int, answered_count: int = 0) -> None:
        """So many commands more wait for an answer; a negative number: fewer. So many were answered."""
        if count < 0 or answered_count:
            self._closed += 1
            self._room.set()
        # What others opened before this process began can only be closed here: do not let it add up.
        self._in_flight = max(self._in_flight + count, -self._settings.max_in_flight)
        used_percent = self._in_flight * 100 // self._settings.max_in_flight
        if used_percent >= NEAR_PERCENT and not self._is_near:
            self._is_near = True
            text = f"{self._in_flight} of {self._settings.max_in_flight} commands in flight"
            log.warning("starts will wait in their queue", extra={"limit": text})
        elif used_percent < OVER_PERCENT:
            self._is_near = False

    def reset(self) -> None:
        """Nothing has made room for long: what this process thinks to be open is most likely closed elsewhere."""
        self._in_flight = 0
        self.wake()

    def add(self, works: Iterable[Work]) -> None:
        """Take these in."""
        for work in works:
            if not isinstance(work.asks, StartMessage):
                self._urgent.append(work)
            elif not self._ending:
                self._starts.append(work)
        self._arrived.set()

    def put_back(self, works: Sequence[Work]) -> None:
        """These are next again, in their order."""
        self._urgent.extendleft(reversed(works))
        self._arrived.set()

    def hold(self, works: Iterable[Work]) -> None:
        """Keep these until `recall`. Beyond the limit those that waited longest have their last look at once."""
        self._held.extend(works)
        while len(self._held) > self._settings.held_max:
            self.add([msgspec.structs.replace(self._held.popleft(), hold_until=LONG_AGO)])

    def recall(self) -> None:
        """Have another look at what is held."""
        if self._held and not self._ending:
            held, self._held = self._held, deque()
            self.add(held)

    def next_batch(self) -> list[Work]:
        """What arrived during the last commit, no linger."""
        batch_max = self._settings.batch_max
        batch = [self._urgent.popleft() for _ in range(min(len(self._urgent), batch_max))]
        room = min(self._settings.max_in_flight - self._in_flight, batch_max - len(batch), len(self._starts))
        batch += [self._starts.popleft() for _ in range(room)]
        if not self._starts:
            self._room.set()
        return batch

    async def arrival(self) -> None:
        """Wait for work, or for `wake`."""
        self._arrived.clear()
        await self._arrived.wait()

    async def room_for_starts(self, patience_seconds: float) -> None:
        """Wait until further starts may be taken from their durable queue.

        If nothing that is open is closed for long, stop waiting: other work than that makes no room.
        """
        closed = self._closed
        try:
            async with asyncio.timeout(patience_seconds) as patience:
                while self._starts or self._in_flight >= self._settings.max_in_flight:
                    self._room.clear()
                    await self._room.wait()
                    if self._closed != closed:
                        closed = self._closed
                        patience.reschedule(asyncio.get_running_loop().time() + patience_seconds)
        except TimeoutError:
            self.reset()

    def begin_no_more(self) -> None:
        """Starts that were not begun are left to the broker, which hands them to another orchestrator."""
        self._ending = True
        self._starts.clear()
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._arrived.set()
        self._room.set()
