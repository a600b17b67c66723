"""The walk: through the blocks of a definition to where a run stands, and what happens there next."""

from datetime import datetime
from typing import TypeGuard, assert_never

import msgspec

from saga.core import events as e
from saga.core.address import Address, address_of, instance
from saga.core.approvals import approval, is_permitted_again, permit
from saga.core.blocks import (
    DEADLINE,
    Approval,
    Attempt,
    Await,
    Block,
    Each,
    Join,
    Parallel,
    Repeat,
    Sleep,
    Step,
    When,
    Within,
)
from saga.core.bounds import EVENTS_MAX, RECORDED_BYTES_MAX
from saga.core.branches import each, parallel, race, repeat
from saga.core.compensation import next_number, next_undo
from saga.core.evaluation import holds, render
from saga.core.evolve import evolve
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind, Outcome
from saga.core.place import Place
from saga.core.plan import Plan, released_with
from saga.core.progress import BLOCKED, DONE, Done, Emit, Failing, Progress
from saga.core.state import BlockMode, SagaState
from saga.core.waits import signal, sleep

RECORDED_MAX = 40_000
"""Events that one walk may record; more is a defect of the core, not of a definition."""

_Beginning = (
    e.CommandIssued
    | e.PermitUsed
    | e.StepParked
    | e.ArmChosen
    | e.MapStarted
    | e.LoopTurned
    | e.WaitStarted
    | e.WaitEnded
    | e.ApprovalRequested
    | e.ApprovalWaived
)
Scope = When | Attempt | Within | Parallel | Each | Repeat
Wait = Sleep | Await | Approval


class Walker:
    """One walk over a state: what happens next is recorded where it is found, and the walk goes on from there."""

    __slots__ = ("_looks_only", "_now", "_plan", "_state", "recorded")

    def __init__(self, plan: Plan, state: SagaState, now: datetime) -> None:
        self._plan = plan
        self._state = state
        self._now = now
        self._looks_only = False
        self.recorded: list[e.AnyEvent] = []

    @property
    def state(self) -> SagaState:
        """After everything that was recorded."""
        return self._state

    def sequence(self, blocks: tuple[Block, ...], at: Address) -> Progress:
        """One block after the other."""
        for block in blocks:
            progress = self._at_rest(block, at)
            if not isinstance(progress, Done):
                return progress
        return DONE

    def _at_rest(self, block: Block, at: Address) -> Progress:
        """A block once nothing more follows in it; from the root again, each event would cost the whole walk."""
        while True:
            before = self._state
            found = self._step(block, at) if isinstance(block, Step) else self._block(block, at)
            progress = _limited(self._state, found, self._now)
            if self._looks_only or not isinstance(progress, Emit):
                return progress
            if self._state is before:  # else it was found before what was recorded inside: look again
                self._record(progress.events)

    def _record(self, events: tuple[e.AnyEvent, ...]) -> None:
        for event in events:
            self._state = evolve(self._state, event)
        self.recorded += events
        assert len(self.recorded) < RECORDED_MAX, f"{self._state.saga}: {self._plan.definition.name} never rests"

    def _block(self, block: Scope | Wait, at: Address) -> Progress:  # noqa: C901 - a closed match, one line a kind
        place = Place(self._plan, self._state, at, self._now)
        match block:
            case When():
                return self._when(block, place)
            case Attempt():
                return self._attempt(block, place)
            case Within():
                return self._within(block, place)
            case Parallel() if block.join is Join.ANY and not self._looks_only:
                return race(place, block, self.look, self.sequence, self._undo)
            case Parallel():
                return parallel(place, block, self.sequence, self._undo)
            case Each():
                return each(place, block, self.sequence)
            case Repeat():
                return repeat(place, block, self.sequence)
            case Sleep():
                return sleep(place, block)
            case Await():
                return signal(place, block)
            case Approval():
                return approval(place, block)
            case _:
                assert_never(block)

    def _step(self, block: Step, at: Address) -> Progress:
        here = instance(block.path, at)
        if here in self._state.parked:
            return BLOCKED
        step = block if here == block.path else msgspec.structs.replace(block, path=here)
        current = self._state.steps.get(here)
        if current is None:
            return Emit(issue(self._plan, self._state, step, 1, self._now))
        match current.action.outcome:
            case Outcome.OK:
                return DONE
            case Outcome.FAILED:
                if is_permitted_again(self._plan, self._state, step, current.action.settled):
                    number = next_number(current, Kind.ACTION)
                    return Emit(issue(self._plan, self._state, step, number, self._now))
                return Failing(here, "failed", current.action.code, "")
            case _ if current.action.exhausted:
                return Failing(here, "exhausted", "exhausted", current.action.why, at_rest=False)
            case _:
                return BLOCKED

    def _when(self, block: When, place: Place) -> Progress:
        here = place.path(block.path)
        if here in self._state.parked:
            return BLOCKED
        taken = self._state.arms.get(here)
        if taken is not None:
            return self.sequence(block.then if taken else block.otherwise, place.at)
        try:
            taken = holds(block.condition, place.read())
        except EvaluationError as error:
            text = f"the condition cannot be decided: {error}"
            return Emit((park(here, e.ParkCode.EVALUATION, text, self._now),))
        return Emit((e.ArmChosen(at=self._now, path=here, taken=taken),))

    def _attempt(self, block: Attempt, place: Place) -> Progress:
        here = place.path(block.path)
        mode = self._state.blocks.get(here)
        if mode is BlockMode.OTHERWISE:
            return self.sequence(block.otherwise, place.at)
        if mode is BlockMode.UNDOING:
            undone = self._undo(block.body, place.at)
            return Emit((e.BlockUndone(at=self._now, path=here),)) if isinstance(undone, Done) else undone
        progress = self.sequence(block.body, place.at)
        if isinstance(progress, Failing) and progress.code in block.on:
            failed = e.BlockFailed(
                at=self._now,
                path=here,
                step=progress.path,
                code=progress.code,
                released=released_with(self._plan, self._state, here),
            )
            return Emit((failed,))
        return progress

    def look(self, blocks: tuple[Block, ...], at: Address) -> Progress:
        """Where a sequence stands; nothing is recorded."""
        looked_only, self._looks_only = self._looks_only, True
        progress = self.sequence(blocks, at)
        self._looks_only = looked_only
        return progress

    def _undo(self, blocks: tuple[Block, ...], at: Address) -> Progress:
        """Undo a sequence while the saga goes on elsewhere."""
        undo = next_undo(self._state, blocks, at, self._now)
        if undo is None:
            return DONE
        return Emit(undo) if undo else BLOCKED

    def _within(self, block: Within, place: Place) -> Progress:
        here = place.path(block.path)
        if here in self._state.parked:
            return BLOCKED
        how = self._state.waited.get(here)
        if how is e.WaitEnd.DONE:
            return DONE
        if how is e.WaitEnd.ELAPSED:
            return Failing(here, DEADLINE, DEADLINE, f"it has had its {block.time}", at_rest=False)
        if here not in self._state.pending:
            until = self._now + block.time
            return Emit((e.WaitStarted(at=self._now, path=here, waits_for=e.WaitFor.SCOPE, until=until),))
        progress = self.sequence(block.body, place.at)
        if isinstance(progress, Done):
            return Emit((e.WaitEnded(at=self._now, path=here, how=e.WaitEnd.DONE),))
        return progress


def issue(plan: Plan, state: SagaState, step: Step, number: int, now: datetime) -> tuple[e.AnyEvent, ...]:
    """A new execution of a step's action; or why it parks, or who is asked for approval instead."""
    place = Place(plan, state, address_of(step.path), now)
    full = _full(state)
    if full is not None:
        return (park(step.path, e.ParkCode.HISTORY_LIMIT, full, now),)
    try:
        body = render(step.command.body, place.read())
    except EvaluationError as error:
        return (park(step.path, e.ParkCode.EVALUATION, f"its command cannot be built: {error}", now),)
    if len(body) > BODY_BYTES_MAX:
        text = f"its command would have {len(body)} bytes, at most {BODY_BYTES_MAX}"
        return (park(step.path, e.ParkCode.TOO_LARGE, text, now),)
    permitted = permit(place, step, number, body)
    if permitted is not None and not isinstance(permitted, e.PermitUsed):
        return (permitted,)
    issued = e.CommandIssued(
        at=now,
        path=step.path,
        kind=Kind.ACTION,
        execution=number,
        body=msgspec.Raw(body),
        due_at=now + step.timeout,
        within_at=None if step.within is None else now + step.within,
    )
    return (issued,) if permitted is None else (permitted, issued)


def _limited(state: SagaState, found: Progress, now: datetime) -> Progress:
    """What may be recorded: a full history begins nothing more, and one place that says so is enough."""
    full = _full(state)
    if full is None or not isinstance(found, Emit):
        return found
    first = found.events[0]
    if not _begins(first):
        return found
    if any(parked.code is e.ParkCode.HISTORY_LIMIT for parked in state.parked.values()):
        return BLOCKED
    return Emit((park(first.path, e.ParkCode.HISTORY_LIMIT, full, now),))


def _full(state: SagaState) -> str | None:
    if state.events_count < EVENTS_MAX and state.recorded_bytes < RECORDED_BYTES_MAX:
        return None
    return f"{state.events_count} events and {state.recorded_bytes} bytes recorded: no further step is begun"


def _begins(event: e.AnyEvent) -> TypeGuard[_Beginning]:
    """Going forward; what gives way, is undone or ends always fits."""
    match event:
        case e.CommandIssued():
            return event.kind is Kind.ACTION
        case e.StepParked():
            return event.code is e.ParkCode.HISTORY_LIMIT
        case e.LoopTurned():
            return not event.done
        case e.WaitEnded():
            return event.how is e.WaitEnd.ELAPSED
        case _:
            return isinstance(event, _Beginning)


def park(path: str, code: e.ParkCode, text: str, now: datetime) -> e.AnyEvent:
    """What stands here waits for a person."""
    return e.StepParked(at=now, path=path, kind=Kind.ACTION, code=code, text=text)
