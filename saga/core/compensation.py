"""What must be undone, in which order, and what undoes it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.address import TOP, Address, inside, instance
from saga.core.blocks import (
    Approval,
    Attempt,
    Await,
    Block,
    CommandTemplate,
    Each,
    OnUndoFailed,
    Parallel,
    Repeat,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
)
from saga.core.evaluation import render
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind, Outcome
from saga.core.progress import BLOCKED, DONE, Blocked, Done
from saga.core.retry import forgotten, key_forgotten
from saga.core.sources import sources_for
from saga.core.state import BlockMode, Execution, Parked, SagaState, StepState, Turn, Waiting


class _Held(msgspec.Struct, frozen=True):
    """Nothing more can be undone here until a person moved a parked compensation that others did not wait for."""


HELD = _Held()
Undone = Done | Blocked | _Held


def needs_undo(step: Step, current: StepState | None) -> bool:
    """Every issued execution without a definite `failed` counts, whatever was answered: it may have happened."""
    if step.kind is not StepKind.COMPENSATABLE or step.undo is None or current is None:
        return False
    return current.action.outcome is not Outcome.FAILED and not current.undone


def undo_targets(state: SagaState, blocks: tuple[Block, ...], at: Address = TOP) -> list[Step]:
    """Every step that is still to be undone, as an instance, in the order written."""
    return [step for step in standing(state, blocks, at) if needs_undo(step, state.steps.get(step.path))]


def standing(state: SagaState, blocks: tuple[Block, ...], at: Address = TOP) -> Iterator[Step]:
    """Every step that was issued, as an instance, in the order written."""
    for block in blocks:
        if isinstance(block, Step):
            here = instance(block.path, at)
            if here in state.steps:
                yield block if here == block.path else msgspec.structs.replace(block, path=here)
        else:
            for sequence, around in ways(state, block, at):
                yield from standing(state, sequence, around)


def ways(state: SagaState, block: Block, at: Address) -> list[tuple[tuple[Block, ...], Address]]:
    """The sequences in a block that a run has entered, in the order in which it entered them."""
    here = instance(block.path, at)
    match block:
        case Step() | Sleep() | Await() | Approval():
            return []
        case When():
            taken = state.arms.get(here)
            return [] if taken is None else [(block.then if taken else block.otherwise, at)]
        case Attempt():
            other = [(block.otherwise, at)] if state.blocks.get(here) is BlockMode.OTHERWISE else []
            return [(block.body, at), *other]
        case Within():
            return [(block.body, at)]
        case Parallel():
            return [(branch.body, at) for branch in block.branches]
        case Each():
            count = len(state.items.get(here, ()))
            return [(block.body, inside(block.path, at, f"[{index}]")) for index in range(count)]
        case Repeat():
            turns = state.turns.get(here, Turn(1)).number
            return [(block.body, inside(block.path, at, f"#{number}")) for number in range(1, turns + 1)]


def is_being_undone(step: StepState) -> bool:
    """A compensation of the current execution was issued, and was not refused."""
    undo = step.undo
    return undo is not None and undo.undoes == step.action.number and undo.outcome is not Outcome.FAILED


def is_about_the_action(parked: Parked, step: StepState) -> bool:
    """The question is whether the action happened: before its undo, or because its service needs to know for it."""
    if parked.code is e.ParkCode.ACTION_IN_DOUBT:
        return True
    if parked.kind is not Kind.COMPENSATION or parked.code not in (e.ParkCode.IN_DOUBT, e.ParkCode.KEY_FORGOTTEN):
        return False
    return not is_being_undone(step)


def next_undo(state: SagaState, blocks: tuple[Block, ...], at: Address, now: datetime) -> tuple[e.AnyEvent, ...] | None:
    """The next compensations to issue: the events of all that can go side by side; () while others are under way or
    stand parked; None when all is undone.

    What is unfinished comes first, newest issue first, and at once: it runs side by side. Then each sequence backwards,
    the next one after the one before was acknowledged, and branches and items side by side.
    """
    look = _Look(state, now)
    targets = undo_targets(state, blocks, at)
    unfinished = [step for step in targets if _is_unfinished(state, step)]
    unfinished.sort(key=lambda step: state.steps[step.path].action.issued, reverse=True)
    found = _together((look.step(step) for step in unfinished), len(unfinished))
    if look.events and any(_is_under_way(state, step) for step in targets if not _is_unfinished(state, step)):
        return ()  # one that was passed over goes on, and waits for its turn
    if not isinstance(found, Blocked):
        later = look.backwards(blocks, at)
        found = HELD if isinstance(later, Done) and isinstance(found, _Held) else later
    return None if isinstance(found, Done) else tuple(look.events)


def _is_unfinished(state: SagaState, step: Step) -> bool:
    return state.steps[step.path].action.outcome is None


class _Look:
    """One look at what stands: what can be undone now is collected, and taken as under way from there on."""

    __slots__ = ("_now", "_state", "_steps", "events")

    def __init__(self, state: SagaState, now: datetime) -> None:
        self._state = state
        self._now = now
        self._steps: dict[str, Undone] = {}
        self.events: list[e.AnyEvent] = []

    def backwards(self, blocks: tuple[Block, ...], at: Address) -> Undone:
        """A sequence, its last block first."""
        held = False
        for block in last_first(blocks):
            before = len(self.events)
            found = self._block(block, at)
            others = ((other,) for other in blocks if other is not block)
            if len(self.events) > before and any(_is_busy(self._state, other, at) for other in others):
                return self._taken_back(before)
            if isinstance(found, Blocked):
                return found
            held = held or isinstance(found, _Held)
        return HELD if held else DONE

    def _taken_back(self, before: int) -> Undone:
        """One that was passed over goes on, and this waits for its turn."""
        del self.events[before:]
        return BLOCKED

    def _block(self, block: Block, at: Address) -> Undone:
        if isinstance(block, Step):
            step = msgspec.structs.replace(block, path=instance(block.path, at))
            return self.step(step) if needs_undo(step, self._state.steps.get(step.path)) else DONE
        entered = ways(self._state, block, at)
        if isinstance(block, Parallel | Each):
            width = block.window if isinstance(block, Each) else len(entered)
            return _together((self.backwards(sequence, around) for sequence, around in entered), width)
        held = alone = False
        for number, (sequence, around) in reversed(list(enumerate(entered))):
            before = len(self.events)
            found = self.backwards(sequence, around)
            if len(self.events) > before and not alone:
                if any(_is_busy(self._state, *other) for other in entered[:number]):
                    return self._taken_back(before)
                alone = True
            if isinstance(found, Blocked):
                return found
            held = held or isinstance(found, _Held)
        return HELD if held else DONE

    def step(self, step: Step) -> Undone:
        """Where the undo of a step stands, or will stand with the event that is collected."""
        if step.path not in self._steps:  # what is unfinished is met again on the way backwards
            self._steps[step.path] = self._step(step)
        return self._steps[step.path]

    def _step(self, step: Step) -> Undone:
        current = self._state.steps[step.path]
        if _is_under_way(self._state, step):
            return BLOCKED
        parked = step.path in self._state.parked
        if not parked:
            if current.undo is not None and is_being_undone(current):
                event = _ask_again(step, current, current.undo, self._now)
            else:
                event = _undo(self._state, step, current, self._now)
            self.events.append(event)
            parked = isinstance(event, e.StepParked)
        return HELD if parked and step.on_undo_failed is not OnUndoFailed.HOLD else BLOCKED


def _is_busy(state: SagaState, blocks: tuple[Block, ...], at: Address) -> bool:
    return any(_is_under_way(state, step) for step in undo_targets(state, blocks, at))


def last_first(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """The order in which a sequence is undone."""
    return blocks[::-1]


def _together(sequences: Iterable[Undone], width: int) -> Undone:
    """Side by side, at most `width` of them under way."""
    blocked = held = 0
    for found in sequences:
        blocked += isinstance(found, Blocked)
        held += isinstance(found, _Held)
        if blocked >= width:
            break
    if blocked:
        return BLOCKED
    return HELD if held else DONE


def _is_under_way(state: SagaState, step: Step) -> bool:
    current = state.steps[step.path]
    undo = current.undo if is_being_undone(current) else None
    stands = undo is None or undo.waiting is Waiting.NOTHING or step.path in state.parked
    return not stands


def _ask_again(step: Step, current: StepState, undo: Execution, now: datetime) -> e.AnyEvent:
    """The doubt is over, and the undo goes on under its own key: copies sent before may have run, or may still run."""
    if forgotten(step, current, undo, now):
        text = f"the undo of {step.path} was first sent {now - undo.issued_at} ago: its key may be forgotten"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.KEY_FORGOTTEN, text=text)
    return e.CommandRepeated(
        at=now,
        path=step.path,
        kind=Kind.COMPENSATION,
        execution=undo.number,
        attempt=undo.attempt + 1,
        due_at=now + step.timeout,
        fresh_budget=True,
        undoes_outcome="unknown" if current.action.outcome is None else "ok",
    )


def _undo(state: SagaState, step: Step, current: StepState, now: datetime) -> e.AnyEvent:
    unknown = current.action.outcome is None
    if unknown and key_forgotten(current.action, step.command.remembers, now):
        # The participant would find no row, take it that nothing happened, and promise that nothing ever will.
        text = f"{step.path} may have happened, and its key may be forgotten by now: say applied or not-applied"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.KEY_FORGOTTEN, text=text)
    template = (step.undo_unknown if unknown else None) or step.undo
    if template is None:
        raise ValueError(f"{step.path} is no undo target")
    try:
        body = undo_body(template, state, step.path)
    except EvaluationError as error:
        text = f"the undo of {step.path} cannot be built: {error}"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.EVALUATION, text=text)
    return e.CommandIssued(
        at=now,
        path=step.path,
        kind=Kind.COMPENSATION,
        execution=next_number(current, Kind.COMPENSATION),
        body=msgspec.Raw(body),
        due_at=now + step.timeout,
        undoes=current.action.number,
        undoes_outcome="unknown" if unknown else "ok",
    )


def undo_body(template: CommandTemplate, state: SagaState, path: str) -> bytes:
    """The body of the compensation of the step at an instance path.

    Raises EvaluationError when it cannot be built or would not fit on the wire.
    """
    # What was undone is still known: with `continue`, the steps an undo reads may have been undone before it.
    body = render(template.body, sources_for(state, path, with_undone=True))
    if len(body) > BODY_BYTES_MAX:
        raise EvaluationError(template.type_name, f"its body would have {len(body)} bytes, at most {BODY_BYTES_MAX}")
    return body


def next_number(step: StepState, kind: Kind) -> int:
    """The number of the step's next execution of that kind: never used before."""
    executions: list[Execution] = [step.action, *step.past, *([step.undo] if step.undo is not None else [])]
    return 1 + max((x.number for x in executions if x.kind is kind), default=0)
