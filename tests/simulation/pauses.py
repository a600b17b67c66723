"""Somebody pauses a saga while a clock of it runs, and nobody acts on what the clock is for: a pause stops every clock.

The situation has a source of chance of its own: worlds in which it is not drawn are what they are without it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core import inputs as i
from saga.core.messages import CommandMessage, Kind
from saga.core.plan import Plan
from saga.core.state import SagaState
from tests.simulation.faults import Regime
from tests.simulation.store import Commit, Row
from tests.simulation.work import Work

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.3
"""Of the worlds of every construct."""
EACH = 0.6
"""Chance that a clock that starts is one to be paused over."""
CLOCK_MOST = timedelta(days=4)
"""Longer clocks are left alone: the world must come to rest."""
SURE_AFTER_SECONDS = 3_600.0
ELSEWHERE = (Regime.WITHIN_BUDGET, Regime.FAULT_FREE, Regime.DEAD_SERVICE)
"""Where nothing may be undone without a cause, or nobody looks long enough."""


class Pauses:
    """One person who pauses, always at the wrong time."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"pauses {world.seed}")
        drawn = self._random.random() < SHARE
        self._on = drawn and world.structured and world.drawn.regime not in ELSEWHERE
        self._planned: set[str] = set()
        self._left_alone: dict[tuple[str, str], float] = {}
        """Saga and path of an approval or a wait: nobody acts on it before this moment."""
        self._lost: dict[tuple[str, str], float] = {}
        """Saga and path of a command: until when it reaches no broker."""

    def noticed(self, row: Row, commit: Commit) -> None:
        """A clock may have started to run."""
        if not self._on:
            return
        siblings = [event.path for event in commit.events if isinstance(event, e.CommandIssued)]
        if len(siblings) > 1:
            self._plan_for_siblings(row.saga, self._random.choice(siblings))
        for path, since, due in _clocks(commit):
            if due - since <= CLOCK_MOST and row.saga not in self._planned and self._random.random() < EACH:
                self._plan(row.saga, path, (due - since).total_seconds())

    def leaves_alone(self, saga: str, path: str) -> bool:
        """Whether nobody acts on this now."""
        return self._left_alone.get((saga, path), 0.0) > self._world.now

    def silent_seconds(self, command: CommandMessage) -> float:
        """How long its participant does not answer it."""
        until = self._left_alone.get((command.saga, command.path), 0.0) if command.kind is Kind.ACTION else 0.0
        return max(0.0, until - self._world.now)

    def loses(self, command: CommandMessage) -> bool:
        """Whether it gets lost before the broker."""
        return self._lost.get((command.saga, command.path), 0.0) > self._world.now

    def _plan(self, saga: str, path: str, clock_seconds: float) -> None:
        random, world = self._random, self._world
        begins = random.random() * clock_seconds * 0.9
        length = clock_seconds * random.choice((0.3, 1.5, 1.5))
        self._planned.add(saga)
        self._left_alone[saga, path] = world.now + clock_seconds + length + 100.0
        world.marks["a pause over a clock"] += 1
        world.after(begins, self._ask, saga, i.Pause)
        world.after(begins + length, self._ask, saga, i.Resume)
        world.after(begins + length + SURE_AFTER_SECONDS, self._make_sure, saga)

    def _plan_for_siblings(self, saga: str, path: str) -> None:
        """One of them is lost on its way, and others answer while the saga is paused."""
        random, world = self._random, self._world
        begins = random.random() * random.choice((0.01, 2.0))
        resumed = begins + random.choice((3.0, 30.0, 300.0))
        self._lost[saga, path] = world.now + resumed
        world.marks["a pause over siblings"] += 1
        world.after(begins, self._ask, saga, i.Pause)
        world.after(resumed, self._ask, saga, i.Resume)
        world.after(resumed + SURE_AFTER_SECONDS, self._make_sure, saga)

    def _ask(self, saga: str, verb: type[i.Pause] | type[i.Resume]) -> None:
        def make(now: datetime, _plan: Plan, _state: SagaState) -> i.Input:
            return verb(now=now, actor="pat", reason="at the wrong time")

        self._world.operators.repeat(Work("operator", saga, make=make))

    def _make_sure(self, saga: str) -> None:
        """The resume may have come before a pause that froze on its way."""
        if self._world.store.rows[saga].state.paused_at is not None:
            self._ask(saga, i.Resume)
            self._world.after(SURE_AFTER_SECONDS, self._make_sure, saga)


def _clocks(commit: Commit) -> Iterator[tuple[str, datetime, datetime]]:
    """Every clock that starts in a commit: whose it is, since when, until when."""
    for event in commit.events:
        match event:
            case e.ApprovalRequested(expires_at=datetime() as due) | e.WaitStarted(until=datetime() as due):
                yield event.path, event.at, due
            case e.CommandIssued(within_at=datetime() as due):
                yield event.path, event.at, due
            case e.SagaStarted():
                yield "", event.at, event.deadline_at
            case _:
                pass
