"""An orchestrator process: the real `screen`, `decide`, `outstanding` and `next_wake` in a shell that may die anywhere.

take what is there -> load -> decide -> (it may freeze here) -> commit -> publish what is outstanding -> acknowledge
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from saga.engine.dispatch import dispatch_of
from tests.simulation.broker import Delivery
from tests.simulation.checkers import nested
from tests.simulation.deciding import Deciding, Entry
from tests.simulation.dispatch import Dispatch
from tests.simulation.store import CommitUnknown, Row, Unavailable
from tests.simulation.violation import Crash
from tests.simulation.work import Work, work_of

if TYPE_CHECKING:
    from tests.simulation.world import World

COMMIT_TRIES = 4
ORPHANED_AFTER_SECONDS = 6.0
"""The broker gives up on a frozen consumer and delivers to others what it held."""


class Orchestrator:
    """One process; a restart keeps nothing but its name."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self.name = name
        self.alive = True
        self.frozen = False
        self.incarnation = 0
        self._planned = False
        self._busy = False
        self._waiting: list[Work] = []
        self._flying: list[Work] = []
        self._skew = (world.random.random() - 0.5) * 2 * world.faults.skew_seconds
        self._offset = -self._skew
        self.deciding = Deciding(world, self)
        self.dispatch = Dispatch(world, self)

    def heal(self) -> None:
        """Tail reads from now on."""
        self.deciding.blind = False

    def now(self) -> datetime:
        """Store time, as far as this process can tell: its own clock and the offset seen at the last answer."""
        seconds = self._skew + (0.0 if "raw-clock" in self._world.broken else self._offset)
        return self._world.moment() + timedelta(seconds=seconds)

    def heard_from_store(self) -> None:
        """Every answer of the store carries its time."""
        self._offset = -self._skew

    # -------------------------------------------------------------------------------------------------- arriving

    def receive(self, delivery: Delivery) -> None:
        """A message from the broker."""
        if not self.alive or self.frozen:
            self._world.broker.give_back(delivery)
            return
        self.offer(work_of(self._world, delivery))

    def offer(self, work: Work) -> None:
        """Something to decide on."""
        self._waiting.append(work)
        self._plan()

    def sweep(self, row: Row) -> None:
        """The saga's `wake_at` has passed: claim it and look."""
        self._world.store.claim(row)
        self.heard_from_store()
        if not any(work.verb == "tick" and work.saga == row.saga for work in self._waiting):
            self.offer(Work("tick", row.saga))

    def reconcile_soon(self) -> None:
        """The broker may have lost everything: send again what must be on the wire."""
        self._world.after(1.0 + self._world.random.random() * 10.0, self._reconcile, self.incarnation)

    def _reconcile(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        try:
            for saga in list(self._world.store.rows):
                loaded = self.deciding.load(saga, fresh=True)
                if loaded is not None:
                    self._world.marks["reconciled"] += 1
                    asked = dispatch_of(loaded.plan, loaded.state, after_version=0)
                    self.dispatch.publish(loaded.plan, loaded.state, asked)
        except Crash:
            self.die()

    def _plan(self) -> None:
        if not self._planned and not self._busy and self._waiting and self.alive:
            self._planned = True
            self._world.after(self._world.random.random() * 0.01, self._step, self.incarnation)

    # ------------------------------------------------------------------------------------------------------ step

    def _step(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        self._planned = False
        self._busy = True
        self._flying = self._take()
        try:
            self._world.boundary("before deciding")
            entries = [entry for work in self._flying if (entry := self.deciding.decide(work)) is not None]
            if entries and "publish-before-commit" in self._world.broken:
                self._publish(entries)
            if entries and "ack-before-commit" in self._world.broken:
                self._ack(self._flying)
            self._world.boundary("before the commit")
        except Crash:
            self.die()
            return
        pause = 0.002
        if entries and self._world.chance(self._world.faults.zombie):
            pause = self._world.random.random() * self._world.random.choice((1.0, 60.0, 3_000.0))
            self._freeze(pause)
        self._world.after(pause, self._finish, incarnation, entries, COMMIT_TRIES)

    def _take(self) -> list[Work]:
        """One input a saga: a commit is one decision."""
        taken: list[Work] = []
        left: list[Work] = []
        sagas: set[str] = set()
        for work in self._waiting:
            work.saga = self._world.store.keys.get(work.saga, work.saga)  # a child that began meanwhile has an id now
            (left if work.saga in sagas else taken).append(work)
            sagas.add(work.saga)
        self._waiting = left
        return taken

    def _freeze(self, seconds: float) -> None:
        self._world.marks["frozen between decision and commit"] += 1
        self.frozen = True
        self._world.after(ORPHANED_AFTER_SECONDS, self._orphan, self.incarnation, list(self._flying))

    def _orphan(self, incarnation: int, held: list[Work]) -> None:
        if self.frozen and incarnation == self.incarnation:
            for work in [*held, *self._waiting]:
                if work.delivery is not None:
                    self._world.broker.give_back(work.delivery)

    def _finish(self, incarnation: int, entries: list[Entry], tries: int) -> None:
        if incarnation != self.incarnation:
            return
        thawed, self.frozen = self.frozen, False
        if thawed:
            self._world.release()
        try:
            won = self._commit(entries)
            if thawed and len(won) < len(entries):
                self._world.marks["zombie commit rejected"] += 1
            self._world.boundary("after the commit")
            self._settle(entries, won)
        except CommitUnknown:
            self._unknown(incarnation, entries, tries)
            return
        except Unavailable:
            self._world.after(0.5, self._finish, incarnation, entries, tries)
            return
        except Crash:
            self.die()
            return
        self._busy = False
        self._flying = []
        self._plan()

    def _commit(self, entries: list[Entry]) -> set[str]:
        if not entries:
            return set()
        won = self._world.store.commit([entry.write for entry in entries])
        self.heard_from_store()
        return won

    def _unknown(self, incarnation: int, entries: list[Entry], tries: int) -> None:
        """The same commit again is safe: (saga, version) is its identity."""
        if "unknown-commit-is-failure" in self._world.broken:
            rows = self._world.store.rows
            entries = [
                msgspec.structs.replace(
                    entry,
                    write=msgspec.structs.replace(entry.write, expected_version=rows[entry.write.saga].version),
                )
                for entry in entries
                if entry.write.saga in rows
            ]
        self._world.after(0.1, self._finish, incarnation, entries, tries - 1)

    def _settle(self, entries: list[Entry], won: set[str]) -> None:
        winners = [entry for entry in entries if entry.write.saga in won]
        for entry in winners:
            write = entry.write
            self.deciding.keep(write)
        if "publish-before-commit" not in self._world.broken:
            self._publish(winners)
        lost = {id(entry.work) for entry in entries if entry.write.saga not in won}
        for entry in entries:
            if entry.write.saga not in won:
                self.deciding.forget(entry.write.saga)
        self._world.boundary("before the acknowledgement")
        self._ack([work for work in self._flying if id(work) not in lost])
        self._waiting = [work for work in self._flying if id(work) in lost] + self._waiting

    def _publish(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.dispatch.follow(entry)
            entry.work.answered(self._world, "accepted", entry.write.saga)

    def _ack(self, works: list[Work]) -> None:
        for work in works:
            if work.delivery is not None:
                self._world.broker.ack(work.delivery)

    def die(self) -> None:
        """Memory is gone; the broker gives what was not acknowledged to others."""
        nested.killed(self._world, [work.saga for work in self._flying])
        held = [work.delivery for work in (*self._flying, *self._waiting) if work.delivery is not None]
        again = [work for work in (*self._flying, *self._waiting) if work.delivery is None and work.again]
        self.alive = False
        self.frozen = self._planned = self._busy = False
        self.incarnation += 1
        self.deciding.forget()
        self._waiting = []
        self._flying = []
        self.dispatch.forget()
        for delivery in held:
            self._world.broker.give_back(delivery)
        for work in again:
            self._world.after(5.0, self._world.operators.repeat, work)
        self._world.after(self._world.random.random() * 5.0, self._restart)

    def _restart(self) -> None:
        self.alive = True
        self._offset = -self._skew
        self._world.release()
