"""Everybody outside: who sends signals, and who decides on approvals, sometimes twice, late, or without the right."""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from saga.core import approvals, decisions, waits
from saga.core import inputs as i
from saga.core.address import template
from saga.core.blocks import Approval, Await
from saga.core.events import Choice
from saga.core.plan import Plan
from saga.core.state import Request, SagaState
from tests.simulation.faults import Regime
from tests.simulation.store import Row
from tests.simulation.work import Make, Work

if TYPE_CHECKING:
    from tests.simulation.world import World

ROUND_SECONDS = 20.0
ROUND_SECONDS_MOST = 43_200.0
ROUND_SECONDS_HURRIED = 100.0
"""While something has a deadline."""
PEOPLE = ("ann", "bob", "cy", "dee")
EDITED = b'{"order":"%s","text":"edited"}'


class Outsiders:
    """They look at what is asked of them, now and then."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._sent = 0
        calm = world.drawn.regime in (Regime.WITHIN_BUDGET, Regime.FAULT_FREE)
        self._rejects = 0.0 if calm else 0.15
        self._odd = 0.0 if calm else 0.4
        self._lazy_until = world.drawn.heal_after_seconds
        self._diligence = 0.6
        """How soon people look at what has a deadline."""

    def begin(self) -> None:
        """Signals may come before anybody waits for them."""
        world = self._world
        if not world.structured:
            return
        random = world.random
        if self._odd:
            self._diligence = random.choice((0.6, 0.6, 0.0))
            self._lazy_until += random.choice((0.0, 5_000.0))
        for number, planned in enumerate(world.workload.sagas):
            for name in planned.plan.awaits:
                if random.random() < 0.5:
                    at = random.random() * random.choice((2.0, 60.0, 900.0))
                    world.after(at, self._early, number, name)
        world.after(random.random() * ROUND_SECONDS, self._round)

    def _early(self, number: int, name: str) -> None:
        saga = self._world.store.keys.get(f"k:{number}")
        if saga is not None:
            self._send(self._world.store.rows[saga], name, self._world.random.randrange(3))

    def _round(self, seconds: float = ROUND_SECONDS) -> None:
        world = self._world
        most = ROUND_SECONDS_MOST
        for row in list(world.store.rows.values()):
            if not row.state.terminal and self._look(row):
                most = ROUND_SECONDS_HURRIED
        unfinished = any(not row.state.terminal for row in world.store.rows.values())
        if unfinished or not world.all_started():
            world.after(min(seconds, most), self._round, min(seconds * 1.2, ROUND_SECONDS_MOST))

    def _visit(self, row: Row) -> None:
        if not row.state.terminal:
            self._look(row)

    def _look(self, row: Row) -> bool:
        """What this saga asks of people; whether some of it has a deadline."""
        world, hurried = self._world, False
        for path, pending in waits.active(row.plan, row.state):
            block = row.plan.blocks.get(template(path))
            if world.pauses.leaves_alone(row.saga, path):
                continue
            if isinstance(block, Await) and (pending.until is None or world.random.random() < 0.7):
                self._send(row, block.signal, world.random.randrange(3))
        for path, request in approvals.waiting(row.plan, row.state):
            if world.pauses.leaves_alone(row.saga, path):
                continue
            lazy = request.expires_at is not None and world.now < self._lazy_until
            hurried = hurried or (request.expires_at is not None and not lazy)
            if world.random.random() < (self._diligence if lazy else 0.6):
                self._decide(row, path, request)
            elif request.expires_at is not None and world.chance(self._odd * 0.3):
                world.at(request.expires_at, self._decide, row, path, request)  # the click races the clock
        return hurried

    def notified(self, row: Row) -> None:
        """Somebody was told that a decision is asked for, and may look soon."""
        healed = self._world.now > self._lazy_until
        for _ in range(3):  # several people are told
            if self._world.random.random() < (0.9 if healed else self._diligence):
                self._world.after(self._world.random.random() * 200.0, self._visit, row)

        for path, request in approvals.waiting(row.plan, row.state):
            if request.number > 1 and self._world.chance(self._odd):  # somebody still has the old one open
                old = msgspec.structs.replace(request, number=request.number - 1)
                who = self._world.random.choice(PEOPLE)
                self._world.after(self._world.random.random() * 20.0, self._again, row, path, old, Choice.APPROVE, who)

    # ------------------------------------------------------------------------------------------------------ signals

    def _send(self, row: Row, name: str, number: int) -> None:
        self._sent += 1
        message_id = f"signal-{self._sent}"
        copies = 2 if self._world.chance(self._world.faults.duplicate) else 1
        for _ in range(copies):
            self._world.operators.repeat(Work("signal", row.saga, make=self._signal(name, message_id, number)))

    def _signal(self, name: str, message_id: str, number: int) -> Make:
        def make(now: datetime, plan: Plan, state: SagaState) -> i.Input:
            given = i.SignalGiven(now=now, signal=name, message_id=message_id, body=b'{"n":%d}' % number, by="shop")
            refused = waits.objection(plan, state, given)
            if refused is not None:
                self._world.marks[f"signal refused: {refused.code}"] += 1
            elif message_id in state.signal_ids:
                self._world.marks["signal again"] += 1
            return given

        return make

    # ---------------------------------------------------------------------------------------------------- decisions

    def _decide(self, row: Row, path: str, request: Request) -> None:
        world, random = self._world, self._world.random
        decided = {decision.approver for decision in request.decisions}
        fresh = [name for name in PEOPLE if name not in decided]
        approver = random.choice(PEOPLE if self._odd and random.random() < 0.3 else fresh)
        block = row.plan.blocks[template(path)]
        rejects = random.random() < self._rejects
        edited = None
        if isinstance(block, Approval) and block.editable and not rejects and random.random() < 0.5:
            edited = EDITED % _order(row)
        given = self._given(path, request, Choice.REJECT if rejects else Choice.APPROVE, approver, edited)
        world.operators.repeat(Work("decision", row.saga, make=given))
        if edited is not None and world.chance(self._odd):  # who looked before it was changed
            world.after(random.random() * 5.0, self._again, row, path, request, Choice.APPROVE, random.choice(PEOPLE))
        if world.chance(self._odd):
            again, somebody = random.choice(list(Choice)), random.choice((approver, *PEOPLE))
            delay = random.random() * random.choice((0.1, 30.0, 9_000.0))
            world.after(delay, self._again, row, path, request, again, somebody)

    def _again(self, row: Row, path: str, request: Request, choice: Choice, approver: str) -> None:
        """A double click, a change of mind, or a click on what is long over."""
        given = self._given(path, request, choice, approver, None)
        self._world.operators.repeat(Work("decision", row.saga, make=given))

    def _given(self, path: str, request: Request, choice: Choice, approver: str, edited: bytes | None) -> Make:
        has_right = not self._world.chance(self._odd * 0.3)
        roles = frozenset(request.roles) if has_right else frozenset({"guest"})

        def make(now: datetime, plan: Plan, state: SagaState) -> i.Input:
            given = i.DecisionGiven(
                now=now,
                path=path,
                choice=choice,
                approver=approver,
                by="desk",
                roles=roles,
                request=f"{path} {request.number}: {approver} {choice} {edited is not None}",
                digest=request.digest,
                number=request.number,
                edited=edited,
            )
            refused = decisions.objection(plan, state, given)
            if refused is not None:
                self._world.marks[f"decision refused: {refused.code}"] += 1
            return given

        return make


def _order(row: Row) -> bytes:
    number = row.start_key.removeprefix("k:")
    return b"o%s" % number.encode()
