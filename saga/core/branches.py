"""Branches, items and turns: what runs side by side, and what runs again."""

from collections.abc import Callable, Iterable

import msgspec

from saga.core import events as e
from saga.core.address import Address, inside
from saga.core.blocks import LIMIT, Block, Each, Join, OnBranchFailed, Parallel, Repeat
from saga.core.document import LIST, UNREADABLE
from saga.core.evaluation import holds, render
from saga.core.executions import released
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind
from saga.core.place import Place
from saga.core.plan import released_with
from saga.core.progress import BLOCKED, DONE, Done, Emit, Failing, Progress
from saga.core.reads import check_reads
from saga.core.state import BlockMode, SagaState, Turn
from saga.core.waits import pause

Walk = Callable[[tuple[Block, ...], Address], Progress]
"""Walks one sequence at an address."""


def together(found: Iterable[Progress], on_failed: OnBranchFailed) -> Progress:
    """Sequences side by side: whatever can go on does; then a failure counts, at once or when all are at rest."""
    failing: Failing | None = None
    blocked, at_rest = False, True
    for progress in found:
        match progress:
            case Emit():
                return progress
            case Failing():
                failing = failing or progress
                at_rest = at_rest and progress.at_rest
            case Done():
                pass
            case _:
                blocked = True
    if failing is not None and (not blocked or on_failed is OnBranchFailed.STOP):
        return msgspec.structs.replace(failing, at_rest=at_rest and not blocked)
    return BLOCKED if blocked else DONE


# -------------------------------------------------------------------------------------------------------- branches


def parallel(place: Place, block: Parallel, walk: Walk, undo: Walk) -> Progress:
    """All branches; or the first that succeeds, once the others are undone."""
    here = place.path(block.path)
    if block.join is Join.ALL:
        return together((walk(branch.body, place.at) for branch in block.branches), block.on_failed)
    chosen = place.state.chosen.get(here)
    if chosen is not None:
        others = (branch for branch in block.branches if place.path(branch.path) != chosen)
        return together((undo(other.body, place.at) for other in others), OnBranchFailed.FINISH)
    found = [walk(branch.body, place.at) for branch in block.branches]
    for branch, progress in zip(block.branches, found, strict=True):
        if isinstance(progress, Done):
            others = (other for other in block.branches if other is not branch)
            paths = tuple(place.path(other.path) for other in others)
            won = e.BranchChosen(
                at=place.now,
                path=here,
                branch=place.path(branch.path),
                others=paths,
                released=released_with(place.plan, place.state, *paths),
            )
            return Emit((won,))
    return together(found, OnBranchFailed.FINISH)


def race(place: Place, block: Parallel, look: Walk, walk: Walk, undo: Walk) -> Progress:
    """Where one branch is enough: one that is through wins before another takes a step, so all are looked at first."""
    progress = parallel(place, block, look, undo)
    undecided = place.path(block.path) not in place.state.chosen
    if undecided and isinstance(progress, Emit) and not isinstance(progress.events[0], e.BranchChosen):
        walk(next(b.body for b in block.branches if isinstance(look(b.body, place.at), Emit)), place.at)
    return progress


# ----------------------------------------------------------------------------------------------------------- items


def each(place: Place, block: Each, walk: Walk) -> Progress:
    """Every item, at most `window` at once, in the order of the list."""
    here = place.path(block.path)
    if here in place.state.parked:
        return BLOCKED
    items = place.state.items.get(here)
    if items is None:
        return Emit((_start(place, block),))

    def open_ones() -> Iterable[Progress]:
        active = 0
        for index in range(len(items)):
            progress = walk(block.body, inside(block.path, place.at, f"[{index}]"))
            yield progress
            active += not _makes_room(block, progress)
            if active >= block.window:
                return

    return together(open_ones(), block.on_failed)


def _makes_room(block: Each, progress: Progress) -> bool:
    """An item that is done; where the others are to finish, also one that failed, unless it may still be under way."""
    if isinstance(progress, Failing) and block.on_failed is OnBranchFailed.FINISH:
        return progress.at_rest
    return isinstance(progress, Done)


def _start(place: Place, block: Each) -> e.AnyEvent:
    """Freeze the items, or say why they cannot be."""
    here, now = place.path(block.path), place.now
    try:
        items = tuple(map(bytes, LIST.decode(render(block.items, place.read()))))
        _check(place, block, items)
    except EvaluationError as error:
        text = f"its items cannot be told: {error}"
    except UNREADABLE as error:
        text = f"its items are no list: {error}"
    else:
        return e.MapStarted(at=now, path=here, items=tuple(map(msgspec.Raw, items)))
    return e.StepParked(at=now, path=here, kind=Kind.ACTION, code=e.ParkCode.ITEMS, text=text)


def _check(place: Place, block: Each, items: tuple[bytes, ...]) -> None:
    """Raises EvaluationError when the saga cannot run over these items."""
    here = place.path(block.path)
    if len(items) > block.limit:
        raise EvaluationError(here, f"{len(items)} items, the definition allows {block.limit}")
    if sum(map(len, items)) > BODY_BYTES_MAX:
        raise EvaluationError(here, f"the items have more than {BODY_BYTES_MAX} bytes together")
    seen: dict[bytes, int] = {}
    for index, item in enumerate(items):
        mismatch = check_reads(place.plan.definition.reads, block.path, item)
        if mismatch is not None:
            raise EvaluationError(f"{here}[{index}]", f"lacks what the definition reads: {mismatch}")
        if block.key is None:
            continue
        key = render(block.key, place.read(**{block.path: item}))
        if key in seen:
            raise EvaluationError(here, f"items {seen[key]} and {index} have the same key")
        seen[key] = index


# ----------------------------------------------------------------------------------------------------------- turns


def repeat(place: Place, block: Repeat, walk: Walk) -> Progress:
    """One turn after the other, until the condition holds or the turns are used up."""
    here = place.path(block.path)
    turn = place.state.turns.get(here, Turn(1))
    if turn.done:
        return DONE
    if here in place.state.parked:
        return BLOCKED
    if turn.number > block.limit + turn.granted:
        return Failing(here, LIMIT, LIMIT, f"{turn.number - 1} turns, and the condition does not hold")
    if block.pause is not None and turn.number > 1:
        paused = pause(place.state, f"{here}#{turn.number}", block.pause, place.now)
        if not isinstance(paused, Done):
            return paused
    turning = place.inside(block.path, f"#{turn.number}")
    progress = walk(block.body, turning.at)
    if not isinstance(progress, Done):
        return progress
    try:
        done = holds(block.until, turning.read())
    except EvaluationError as error:
        text = f"whether it is done cannot be decided: {error}"
        code = e.ParkCode.EVALUATION
        return Emit((e.StepParked(at=place.now, path=here, kind=Kind.ACTION, code=code, text=text),))
    return Emit((e.LoopTurned(at=place.now, path=here, turn=turn.number, done=done),))


# -------------------------------------------------------------------------------------------------------- the fold

Branching = e.BranchChosen | e.MapStarted | e.LoopTurned


def evolved(state: SagaState, event: Branching) -> SagaState:
    """The state after what happened to a block with branches, items or turns."""
    match event:
        case e.BranchChosen():
            given_up = dict.fromkeys(event.others, BlockMode.UNDOING)
            chosen = {**state.chosen, event.path: event.branch}
            state = msgspec.structs.replace(state, chosen=chosen, blocks={**state.blocks, **given_up})
            return released(state, event.released)
        case e.MapStarted():
            items = tuple(map(bytes, event.items))
            recorded = state.recorded_bytes + sum(map(len, items))
            return msgspec.structs.replace(state, items={**state.items, event.path: items}, recorded_bytes=recorded)
        case e.LoopTurned():
            number = event.turn if event.done else event.turn + 1
            before = state.turns.get(event.path, Turn(1))
            return _with_turn(state, event.path, msgspec.structs.replace(before, number=number, done=event.done))


def begun_again(state: SagaState, path: str) -> SagaState:
    """An operator released a loop that had used up its turns: it has as many again."""
    turn, parked = state.turns.get(path), state.parked.get(path)
    if turn is None or parked is None or parked.code is not e.ParkCode.LATE:
        return state
    return _with_turn(state, path, msgspec.structs.replace(turn, granted=turn.number - 1))


def _with_turn(state: SagaState, path: str, turn: Turn) -> SagaState:
    return msgspec.structs.replace(state, turns={**state.turns, path: turn})
