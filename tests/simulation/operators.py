"""People: they cancel, pause and resume, sometimes abandon, and resolve what is parked with truthful evidence."""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from saga.contract import Effect
from saga.core import inputs as i
from saga.core.children import KEY
from saga.core.compensation import is_about_the_action
from saga.core.events import ParkCode
from saga.core.identity import idempotency_key
from saga.core.inputs import Resolve, Verdict
from saga.core.messages import Kind
from saga.core.operate import objection
from saga.core.plan import Plan
from saga.core.state import Parked, Phase, SagaState
from tests.simulation.store import Row
from tests.simulation.work import Make, Work

if TYPE_CHECKING:
    from tests.simulation.world import World

ROUND_SECONDS = 45.0
ROUND_SECONDS_MOST = 86_400.0
SURE_AFTER_SECONDS = 3_600.0
TRIES_MOST = 8
"""Of a step that has failed behind the point of no return."""
LONG_PAUSES_SECONDS = (3_600.0, 86_400.0, 9 * 86_400.0, 33 * 86_400.0)


class Seen(msgspec.Struct, frozen=True):
    """What an honest look at the world shows of an action."""

    key: str
    happened: bool
    """Its effect stands."""
    settled: bool
    """Nothing travels any more that could change that."""


class Operators:
    """One control room."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.absent = world.chance(world.faults.operator_absent)
        self.abandoned = False

    def begin(self) -> None:
        """Plan today's interventions and the rounds."""
        world, faults = self._world, self._world.faults
        random = world.random
        for number in range(len(world.workload.sagas)):
            at = random.random() * random.choice((2.0, 30.0, 300.0, 4_000.0))
            if world.chance(faults.pause):
                world.after(at, self._pause, number)
            if world.chance(faults.abandon):
                world.after(at, self._request, number, _abandon)
            if world.chance(faults.cancel * 0.3):
                world.after(at, self._request, number, _cancel(f"operator-{number}"))
        if not self.absent:
            world.after(ROUND_SECONDS, self._round)

    def repeat(self, work: Work) -> None:
        """The orchestrator that took the request died: ask another one."""
        alive = self._world.alive()
        if not alive:
            self._world.hold(self.repeat, work)
            return
        self._world.random.choice(alive).offer(work)

    # ------------------------------------------------------------------------------------------------------ verbs

    def _row(self, number: int) -> Row | None:
        saga = self._world.store.keys.get(f"k:{number}")
        return None if saga is None else self._world.store.rows[saga]

    def _request(self, number: int, make: Make) -> None:
        row = self._row(number)
        if row is not None:
            self.repeat(Work("operator", row.saga, make=make))

    def _pause(self, number: int) -> None:
        world = self._world
        self._request(number, _pause)
        seconds = world.random.random() * 100.0
        if world.chance(world.faults.long_pause):
            seconds = world.random.random() * world.random.choice(LONG_PAUSES_SECONDS)
        world.after(seconds, self._request, number, _resume)
        world.after(seconds + SURE_AFTER_SECONDS, self._make_sure, number)

    def _make_sure(self, number: int) -> None:
        """The resume may have come before a pause that froze on its way."""
        row = self._row(number)
        if row is not None and row.state.paused_at is not None:
            self._request(number, _resume)
            self._world.after(SURE_AFTER_SECONDS, self._make_sure, number)

    # ------------------------------------------------------------------------------------------------------ rounds

    def _round(self, seconds: float = ROUND_SECONDS) -> None:
        """Look at everything that is parked."""
        world = self._world
        unfinished = False
        for row in list(world.store.rows.values()):
            unfinished = unfinished or not row.state.terminal
            for path, parked in row.state.parked.items():
                self.repeat(Work("operator", row.saga, make=self._way_out(row, path, parked)))
        started = world.all_started()
        if unfinished or not started:
            world.after(seconds, self._round, min(seconds * 1.3, ROUND_SECONDS_MOST))

    def _way_out(self, row: Row, path: str, parked: Parked) -> Make:
        if parked.code is ParkCode.ITEMS:  # more than the definition allows: no way but back
            return _cancel(f"items-{row.saga}")
        step = row.state.steps.get(path)
        hopeless = parked.code is ParkCode.FAILED_AFTER_PIVOT and step is not None and step.action.number > TRIES_MOST
        return _abandon if hopeless else self._verdict(path, parked)

    def _verdict(self, path: str, parked: Parked) -> Make:
        def make(now: datetime, plan: Plan, state: SagaState) -> i.Input | None:
            if state.parked.get(path) != parked:
                return None
            for given in self._candidates(now, path, plan, state):
                if objection(plan, state, given) is None:
                    self._world.marks[f"operator: {given.verdict} in {state.phase}"] += 1
                    return given
            self._world.marks["operator: nothing fits"] += 1
            return None

        return make

    def _candidates(self, now: datetime, path: str, plan: Plan, state: SagaState) -> list[Resolve]:
        """Verdicts to try, best first; evidence comes from the ledger and from what still travels."""
        parked, current = state.parked[path], state.steps.get(path)
        if current is None:
            return [_resolve(now, path, Verdict.RETRY)]
        key = idempotency_key(state.saga, path, Kind.ACTION, current.action.number)
        seen = self._truth(key, plan, state, path)
        if parked.kind is Kind.COMPENSATION and not is_about_the_action(parked, current):
            return self._for_an_undo(now, state, path, seen)
        definite = current.action.outcome is not None
        return self._for_an_action(now, path, seen, retry_first=definite or parked.code is not ParkCode.IN_DOUBT)

    def _for_an_undo(self, now: datetime, state: SagaState, path: str, seen: "Seen") -> list[Resolve]:
        retry, applied = _resolve(now, path, Verdict.RETRY), _resolve(now, path, Verdict.APPLIED)
        if state.parked[path].code is ParkCode.EVALUATION:
            if not seen.settled:
                return []
            self._world.ledger.undo_by_hand(seen.key)
            return [applied]
        undo = state.steps[path].undo
        key = "" if undo is None else idempotency_key(state.saga, path, Kind.COMPENSATION, undo.number)
        if not seen.settled or self._world.broker.under_way[key]:
            return [retry]
        return [retry, _resolve(now, path, Verdict.NOT_APPLIED)] if seen.happened else [applied, retry]

    def _for_an_action(self, now: datetime, path: str, seen: "Seen", *, retry_first: bool) -> list[Resolve]:
        undo = _resolve(now, path, Verdict.UNDO)
        found: list[Resolve] = [_resolve(now, path, Verdict.RETRY)] if retry_first else []
        if self._world.random.random() < 0.3:
            found.append(undo)
        if seen.happened:
            found.append(_resolve(now, path, Verdict.APPLIED, b'{"id":"%s"}' % seen.key[:8].encode()))
        elif seen.settled:
            found.append(_resolve(now, path, Verdict.NOT_APPLIED))
        return [*found, undo]

    def _truth(self, key: str, plan: Plan, state: SagaState, path: str) -> "Seen":
        world = self._world
        effect = plan.step(path).command.effect
        service = world.participants.get(plan.step(path).command.service)
        if service is None:
            return self._of_a_child(key)
        happened = world.ledger.net(key) > 0 or effect is Effect.READ_ONLY
        quiet = world.now > world.drawn.heal_after_seconds + 60.0 and not any(o.frozen for o in world.orchestrators)
        return Seen(key, happened, quiet and world.broker.under_way[key] == 0 and key not in service.running)

    def _of_a_child(self, key: str) -> "Seen":
        saga = self._world.store.keys.get(f"{KEY}{key}")
        state = None if saga is None else self._world.store.rows[saga].state
        over = state is not None and state.terminal
        return Seen(key, happened=state is not None and state.phase is Phase.COMPLETED, settled=over)


def _resolve(now: datetime, path: str, verdict: Verdict, reply: bytes | None = None) -> Resolve:
    return Resolve(
        now=now, path=path, verdict=verdict, actor="olga", reason="looked", evidence="the ledger", reply=reply
    )


def _pause(now: datetime, _plan: Plan, _state: SagaState) -> i.Input:
    return i.Pause(now=now, actor="olga", reason="wait")


def _resume(now: datetime, _plan: Plan, _state: SagaState) -> i.Input:
    return i.Resume(now=now, actor="olga", reason="go on")


def _abandon(now: datetime, _plan: Plan, _state: SagaState) -> i.Input:
    return i.Abandon(now=now, actor="olga", reason="enough")


def _cancel(request: str) -> Make:
    return lambda now, _plan, _state: i.Cancel(
        now=now, request=request, by="operator", actor="olga", reason="customer called"
    )
