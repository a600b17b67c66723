"""The journal as a synchronous model: compare-and-swap rows, a commit log, and every way a commit can go wrong."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from saga.core import inputs as i
from saga.core.events import AnyEvent
from saga.core.plan import Plan
from saga.core.state import SagaState

if TYPE_CHECKING:
    from tests.simulation.world import World

LEASE = timedelta(seconds=30)


class Unavailable(Exception):
    """Surely nothing was written."""


class CommitUnknown(Exception):
    """The answer was lost: it may have been written."""


class Commit(msgspec.Struct, frozen=True):
    """One row of history."""

    version: int
    at: datetime
    data: bytes
    events: tuple[AnyEvent, ...]
    given: i.Input
    node: str
    state: SagaState
    """What the committing orchestrator believed."""


class Row(msgspec.Struct):
    """A saga's row and its history."""

    saga: str
    start_key: str
    input: bytes
    plan: Plan
    commits: list[Commit]
    wake_at: datetime | None = None
    dispatched: int = 0

    @property
    def version(self) -> int:
        return len(self.commits)

    @property
    def state(self) -> SagaState:
        return self.commits[-1].state


class Write(msgspec.Struct, frozen=True):
    """One saga's part of a batch: what `NewSaga` and `Advance` say."""

    saga: str
    expected_version: int
    plan: Plan
    start_key: str
    data: bytes
    events: tuple[AnyEvent, ...]
    given: i.Input
    node: str
    state: SagaState
    wake_at: datetime | None
    """When to look at the latest."""
    wake_read: datetime | None = None
    """What the writer read in the column when it decided."""


class Store:
    """All rows. Nothing but `commit` changes a history."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.rows: dict[str, Row] = {}
        self.keys: dict[str, str] = {}
        self._losers: dict[tuple[str, int], set[str]] = {}
        """Who tried to write the same version of the same saga."""

    def commit(self, writes: list[Write]) -> set[str]:
        """Append all that still fit; returns the sagas that won. Raises Unavailable or CommitUnknown."""
        world, faults = self._world, self._world.faults
        if world.chance(faults.commit_fails):
            world.marks["commit failed before"] += 1
            raise Unavailable
        lost = world.chance(faults.commit_unknown)
        if lost and world.random.random() < 0.5:
            world.marks["commit unknown, not written"] += 1
            raise CommitUnknown
        won = {write.saga for write in writes if not world.chance(faults.row_locked) and self._write(write)}
        if lost:
            world.marks["commit unknown, written"] += 1
            raise CommitUnknown
        return won

    def _write(self, write: Write) -> bool:
        row = self.rows.get(write.saga)
        if row is None:
            return write.expected_version == 0 and self._begin(write)
        if row.version != write.expected_version:
            if self._is_mine(row, write):
                self._world.marks["commit unknown, was mine"] += 1
                return True
            if "no-compare-and-swap" not in self._world.broken or write.expected_version == 0:
                self._note_loss(row, write)
                return False
        self._append(row, write)
        return True

    def _note_loss(self, row: Row, write: Write) -> None:
        marks = self._world.marks
        marks["lost the race"] += 1
        winner = row.commits[write.expected_version]
        if isinstance(write.given, i.Reply) and isinstance(winner.given, i.Tick):
            marks["decision lost race to timeout"] += 1
        losers = self._losers.setdefault((write.saga, write.expected_version), {winner.node})
        losers.add(write.node)
        if len(losers) == 3:
            marks["conflict of three"] += 1

    def _is_mine(self, row: Row, write: Write) -> bool:
        return 0 <= write.expected_version < row.version and row.commits[write.expected_version].data == write.data

    def _begin(self, write: Write) -> bool:
        assert isinstance(write.given, i.Start)
        if write.start_key in self.keys and "no-unique-start" not in self._world.broken:
            self._world.marks["start lost the race"] += 1
            return False
        self.keys[write.start_key] = write.saga
        row = self.rows[write.saga] = Row(write.saga, write.start_key, write.given.input, write.plan, [])
        self._append(row, write)
        return True

    def _append(self, row: Row, write: Write) -> None:
        commit = Commit(
            row.version + 1,
            self._world.moment(),
            write.data,
            write.events,
            write.given,
            write.node,
            write.state,
        )
        row.commits.append(commit)
        self._world.trace(write.data)
        self._wake_by(row, write)
        self._world.checkers.on_commit(row, commit)

    # -------------------------------------------------------------------------------------------------- wakes

    def _wake_by(self, row: Row, write: Write) -> None:
        """`wake_at` is a lower bound, and what the writer read of it may be old: the earlier one stays, unless the
        writer holds the lease."""
        wanted, read = write.wake_at, row.wake_at
        if "stale-wake" in self._world.broken:
            read = write.wake_read
        if isinstance(write.given, i.Tick) or write.state.terminal or read is None:
            if wanted != row.wake_at:
                self.wake(row, wanted)
        elif wanted is not None and wanted < read:
            self.wake(row, wanted)

    def wake(self, row: Row, when: datetime | None) -> None:
        """Write the column and let the alarm ring then."""
        row.wake_at = when
        if when is not None:
            self._world.at(when, self._ring, row, when)

    def claim(self, row: Row) -> None:
        """An orchestrator takes the saga for the length of a lease."""
        self.wake(row, self._world.moment() + LEASE)

    def rearm(self, row: Row, version: int, when: datetime | None) -> None:
        """Write `wake_at` of a saga that still stands at this version."""
        if row.version == version:
            self.wake(row, when)

    def dispatched(self, row: Row, version: int) -> None:
        """Raise `dispatched_version`."""
        row.dispatched = max(row.dispatched, version)

    def _ring(self, row: Row, when: datetime) -> None:
        if row.wake_at != when:
            return
        alive = self._world.alive()
        if not alive:
            self._world.hold(self._ring, row, when)
            return
        self._world.random.choice(alive).sweep(row)
