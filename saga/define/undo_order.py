"""The order in which a failure at one place of a definition is undone, as data and in words.

It is the order of the core: what is unfinished first; then each sequence backwards, each compensation after the one
before was acknowledged; branches and items side by side; turns of a loop one after the other, the last one first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from saga.core.definition import (
    Attempt,
    Block,
    Each,
    Join,
    OnBranchFailed,
    Parallel,
    Repeat,
    Step,
    StepKind,
    When,
    Within,
    children,
)

MAYBE = "if it was done"


class Undone(msgspec.Struct, frozen=True):
    """A compensation that a failure leads to."""

    step: str
    command: str
    """Type name, e.g. `payments.RefundCharge.v1`."""
    condition: str
    """Empty, or when it is sent: `if it was done`, `if its outcome is unknown`."""


class UndoneSequence(msgspec.Struct, frozen=True):
    """One branch, or what stands for every item or turn."""

    name: str
    """Of the branch; empty for items and turns."""
    undo: "tuple[Undone | UndoneGroup, ...]"


class UndoneGroup(msgspec.Struct, frozen=True):
    """Compensations of a block with several sequences in it."""

    block: str
    how: str
    """E.g. `side by side in 'setup'`, `for every item of 'seats', 10 at a time`."""
    sequences: tuple[UndoneSequence, ...]


Undoing = Undone | UndoneGroup


@dataclass(frozen=True)
class Frame:
    """A sequence around a place: what stands before the place in it, and the block it belongs to."""

    before: tuple[Block, ...]
    block: Block | None = None
    position: int = 0
    """Which of the block's sequences it is."""


def undo_of(blocks: Sequence[Block], condition: str = "") -> Iterator[Undoing]:
    """What undoes a sequence that is through, in the order in which it is sent."""
    for block in reversed(blocks):
        match block:
            case Step() if block.undo is not None:
                undo = block.undo_unknown if condition and block.undo_unknown else block.undo
                yield Undone(block.path, undo.type_name, condition)
            case When() | Attempt():
                for inner in reversed(children(block)):
                    yield from undo_of(inner, MAYBE)
            case Within():
                yield from undo_of(block.body, condition)
            case Parallel():
                inside = MAYBE if block.join is Join.ANY else condition
                yield from _branches(block, [tuple(undo_of(branch.body, inside)) for branch in block.branches])
            case Each() | Repeat():
                yield from _again(block, tuple(undo_of(block.body, condition)))
            case _:
                pass


def around(inner: tuple[Undoing, ...], frame: Frame) -> tuple[Undoing, ...]:
    """What is undone when a place in this sequence fails: what stands before it, and the block's other sequences."""
    here = (*inner, *undo_of(frame.before))
    match frame.block:
        case Parallel() as block:
            bodies = [tuple(undo_of(branch.body, MAYBE)) for branch in block.branches]
            bodies[frame.position] = here
            return tuple(_branches(block, bodies))
        case Each() | Repeat() as block:
            return tuple(_again(block, tuple(undo_of(block.body, MAYBE))))
        case _:
            return here


def under_way(frame: Frame) -> str:
    """What may be unfinished beside a place in this sequence when the place fails."""
    match frame.block:
        case Parallel(join=Join.ALL, on_failed=OnBranchFailed.STOP) as block:
            return f"what is under way in the other branches of '{block.path}'"
        case Each(on_failed=OnBranchFailed.STOP) as block if block.window > 1:
            return f"what is under way for other items of '{block.path}'"
        case _:
            return ""


def has_pivot(blocks: Sequence[Block]) -> bool:
    """Whether the point of no return is in these blocks; then it is on every way through them."""
    return any(
        block.kind is StepKind.PIVOT if isinstance(block, Step) else any(map(has_pivot, children(block)))
        for block in blocks
    )


def in_words(undo: Sequence[Undoing]) -> str:
    """The order as a list; `nothing` when there is nothing to undo."""
    return ", ".join(map(_words, undo)) or "nothing"


def _words(undo: Undoing) -> str:
    if isinstance(undo, Undone):
        return f"{undo.step} ({undo.condition})" if undo.condition else undo.step
    sequences = (f"{s.name}: {in_words(s.undo)}" if s.name else in_words(s.undo) for s in undo.sequences)
    return f"{undo.how} ({'; '.join(sequences)})"


def _branches(block: Parallel, bodies: Sequence[tuple[Undoing, ...]]) -> Iterator[UndoneGroup]:
    pairs = zip(block.branches, bodies, strict=True)
    sequences = tuple(UndoneSequence(branch.path, undo) for branch, undo in pairs if undo)
    if sequences:
        yield UndoneGroup(block.path, f"side by side in '{block.path}'", sequences)


def _again(block: Each | Repeat, undo: tuple[Undoing, ...]) -> Iterator[UndoneGroup]:
    if not undo:
        return
    if isinstance(block, Each):
        how = f"for every item of '{block.path}', {block.window} at a time"
    else:
        how = f"for every turn of '{block.path}', the last first"
    yield UndoneGroup(block.path, how, (UndoneSequence("", undo),))
