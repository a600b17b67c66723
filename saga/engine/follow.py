"""The step that follows the history: a batch of commits is handed to a sink, then the sink's cursor moves.

Each sink has a cursor of its own, so that one which is down holds up no other. Nothing is kept here but one batch: the
history is the buffer. What was delivered and not saved is delivered again.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from saga.core import events
from saga.core.about import Fields, of_saga
from saga.engine.settings import FollowSettings
from saga.ports import Clock, Feed, HistoryRow, Page

log = logging.getLogger("saga.engine")


class Recorded(msgspec.Struct, frozen=True):
    """One commit of a saga."""

    saga: str
    version: int
    cause: str
    """What led to it, for people."""
    at: datetime
    """Store time of the commit."""
    events: tuple[events.AnyEvent, ...]


class Sink(Protocol):
    """Where committed events go."""

    async def deliver(self, commits: Sequence[Recorded]) -> None:
        """Take all of them, those of one saga in this order, or raise: then all of them come again.

        The same commits may come again after a crash, and then older ones than were seen last. One `deliver` of a sink
        runs at a time in a process; it must end within the lease, and should give up sooner than wait for an outage.
        """
        ...


class Progress(StrEnum):
    """What a step found."""

    MORE = "more"
    """There is more to deliver at once."""
    IDLE = "idle"
    """Everything committed is delivered."""
    ELSEWHERE = "elsewhere"
    """Another process has the cursor."""


class UnreadableCommitError(Exception):
    """A commit that this release cannot decode: a later one wrote it, or it is damaged."""


class Follower:
    """One sink and its cursor, as one process sees them. Any number of processes may follow for one sink."""

    def __init__(
        self, name: str, sink: Sink, feed: Feed, clock: Clock, settings: FollowSettings, *, owner: str
    ) -> None:
        self.name = name
        self.interval_seconds = settings.interval_seconds
        """Between two looks when there was nothing more."""
        self.delivered_at: datetime | None = None
        """Of the newest commit that this process delivered."""
        self.behind_since: datetime | None = None
        """Of a commit that is not delivered yet, as far as this process knows; None when there is none."""
        self._sink = sink
        self._feed = feed
        self._clock = clock
        self._settings = settings
        self._owner = owner
        self._position: str | None = None
        """As the store has it; None when it must be asked for."""
        self._holds = False
        """The lease may still run."""
        self._renew_at = 0.0
        self._unreadable_since: float | None = None

    async def step(self) -> Progress:
        """Deliver the next batch and save how far it came. Raises what the feed or the sink raise, and
        UnreadableCommitError; the next step then begins with what the store knows. The cursor is held until it is given
        up with `release`."""
        try:
            return await self._step()
        except BaseException:
            self._position = None  # the store may have failed over to one that knows less
            raise

    async def release(self) -> None:
        """Give the cursor up, so that another process need not wait for the end of the lease. Raises Unavailable."""
        if not self._holds:
            return
        self._holds = False  # once: where the store is away, the lease ends by itself
        position = await self._cursor()  # after a failure it is asked for, and given up as the store has it
        self._position, self._holds = None, False
        if position is not None:
            await self._feed.save_cursor(self.name, self._owner, position, 0)

    async def _step(self) -> Progress:
        position = await self._cursor()
        if position is None:
            self.behind_since = None
            return Progress.ELSEWHERE
        page = await self._feed.read_after(position, self._settings.batch_max)
        if page.restarted:
            log.warning("everything is delivered again", extra={"follower": self.name, "reason": page.restarted})
        commits = await self._readable(page)
        if commits:
            self.behind_since = commits[0].at
            await self._sink.deliver(commits)
            self.delivered_at = commits[-1].at
        self.behind_since = self.delivered_at if page.more else None
        if page.position != position and not await self._save(page.position):
            return Progress.ELSEWHERE
        return Progress.MORE if page.more else Progress.IDLE

    async def _cursor(self) -> str | None:
        now = self._clock.monotonic()
        if self._position is None or now >= self._renew_at:
            lease_seconds = self._settings.lease_seconds
            self._position = await self._feed.take_cursor(self.name, self._owner, lease_seconds)
            self._holds = self._position is not None
            self._renew_at = now + lease_seconds / 3
        return self._position

    async def _save(self, position: str) -> bool:
        now = self._clock.monotonic()
        kept = await self._feed.save_cursor(self.name, self._owner, position, self._settings.lease_seconds)
        self._position, self._holds = (position, True) if kept else (None, False)
        self._renew_at = now + self._settings.lease_seconds / 3
        return kept

    async def _readable(self, page: Page) -> list[Recorded]:
        """The commits of a page. One that cannot be decoded is left to a process of a later release for a while; if
        none takes over, it is passed over, so that it does not hold up everything after it."""
        commits, unreadable = _decoded(page.rows)
        if not unreadable:
            self._unreadable_since = None
            return commits
        now = self._clock.monotonic()
        if self._unreadable_since is None:
            self._unreadable_since = now
        if now - self._unreadable_since < self._settings.unreadable_seconds:
            await self.release()
            raise UnreadableCommitError(f"commit {unreadable[0].version} of {unreadable[0].saga} cannot be decoded")
        for row in unreadable:
            place = of_saga(row.saga) | {"follower": self.name, "version": row.version}
            log.error("a commit cannot be decoded and is passed over", extra=place)
        return commits


def about(recorded: Sequence[Recorded]) -> Fields:
    """What a log line says of the saga whose commits these are."""
    first = next(iter(recorded[0].events), None)
    if isinstance(first, events.SagaStarted):
        return of_saga(first.saga, first.root, first.name)
    return of_saga(recorded[0].saga)


def _decoded(rows: Sequence[HistoryRow]) -> tuple[list[Recorded], list[HistoryRow]]:
    commits: list[Recorded] = []
    unreadable: list[HistoryRow] = []
    for row in rows:
        try:
            commits.append(Recorded(row.saga, row.version, row.cause, row.at, events.decode(row.data)))
        except (msgspec.MsgspecError, ValueError):
            unreadable.append(row)
    return commits, unreadable
