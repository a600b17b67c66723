"""The tree while it is written: scopes, what stands in them, and what may be seen from where.

A scope is one sequence; a fork is a block that holds scopes. What a reader may expect of a reply depends only on the
forks between the two: those around the reply that are not around the reader.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from saga.contract import Contract
from saga.core.definition import Approval, Await, Block, Sleep, Step, StepKind


class Shape(StrEnum):
    """What a fork does with its scopes."""

    WHEN = "when"
    ATTEMPT = "attempt"
    ALL = "parallel"
    ANY = "parallel-any"
    EACH = "each"
    REPEAT = "repeat"
    WITHIN = "within"
    LATE = "late"
    """A wait that may go on without what it waited for."""


class Visibility(StrEnum):
    """What one place may expect of a reply; from the best to the worst."""

    SURE = "sure"
    MAYBE = "maybe"
    """The block around it may not have been taken, or was undone."""
    INSIDE = "inside"
    """There is one for every item."""
    BESIDE = "beside"
    """It belongs to a branch that runs at the same time."""
    NEVER = "never"
    """It belongs to the other arm of the same block."""


_WORST_LAST = tuple(Visibility)
_BEHIND = {
    Shape.WHEN: Visibility.MAYBE,
    Shape.ATTEMPT: Visibility.MAYBE,
    Shape.ANY: Visibility.MAYBE,
    Shape.LATE: Visibility.MAYBE,
    Shape.EACH: Visibility.INSIDE,
    Shape.ALL: Visibility.SURE,
    Shape.REPEAT: Visibility.SURE,
    Shape.WITHIN: Visibility.SURE,
}
"""What is seen from behind a fork of something in it."""
_SIDE_BY_SIDE = (Shape.ALL, Shape.ANY)
_ARMS = (Shape.WHEN, Shape.ATTEMPT)


@dataclass(eq=False)
class Scope:
    """A sequence of blocks."""

    name: str = "body"
    """What it is to its fork: `block`, `otherwise`, `branch 'mailbox'`."""
    parent: "Scope | None" = None
    fork: "Fork | None" = None
    prefix: str = ""
    """In front of the names in it: `seats/`."""
    blocks: "list[Written]" = field(default_factory=list)
    open: bool = True

    def chain(self) -> "list[Scope]":
        """This scope and all around it, outermost first."""
        return [*(self.parent.chain() if self.parent else []), self]

    def pivot_passed(self) -> str | None:
        """The pivot that stands before the end of this scope on every way here, if one does."""
        for scope in self.chain():
            for block in scope.blocks:
                if not (isinstance(block, Fork) and block.is_open()) and (found := pivot_in(block)):
                    return found
        return None

    def catches(self, reason: str) -> bool:
        """Whether the body of an attempt that reacts to this reason is around."""
        return any(s.fork and [s] == s.fork.scopes[:1] and reason in s.fork.on for s in self.chain())


@dataclass(eq=False)
class Asked:
    """An approval: which step sends what was approved is known only later."""

    path: str
    contract: Contract | None
    """Of the command it is about; None for a gate, and for what is no command."""
    gate: bool
    scope: Scope
    make: Callable[[str | None], Approval]
    """The block, once the step that it guards is known."""
    sent_by: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Fork:
    """A block with sequences in it."""

    path: str
    shape: Shape
    make: Callable[[tuple[tuple[Block, ...], ...]], Block]
    """The block, from its finished sequences."""
    on: tuple[str, ...] = ()
    """The reasons an attempt reacts to."""
    scopes: list[Scope] = field(default_factory=list)
    written: bool = False
    """Whether the word that opened it is over."""

    def is_open(self) -> bool:
        """Whether it is still being written."""
        return not self.written or any(scope.open for scope in self.scopes)

    def is_complete(self, arms: list[Scope]) -> bool:
        """Whether whichever way a run takes, it goes through one of these arms."""
        if self.shape in _ARMS:
            return len(self.scopes) == 2 and all(scope in arms for scope in self.scopes)
        return self.shape is Shape.ANY and all(scope in arms for scope in self.scopes)


Written = Step | Sleep | Await | Asked | Fork


def pivot_in(block: Written) -> str | None:
    """The first pivot in a block."""
    match block:
        case Step():
            return block.path if block.kind is StepKind.PIVOT else None
        case Fork():
            return next((found for scope in block.scopes for b in scope.blocks if (found := pivot_in(b))), None)
        case _:
            return None


def visibility(home: Scope, reader: Scope) -> tuple[Visibility, "Fork | None"]:
    """What a reader in one scope may expect of a reply in another, and the block that is the reason."""
    around = reader.chain()
    worst: tuple[Visibility, Fork | None] = (Visibility.SURE, None)
    for scope in home.chain():
        fork = scope.fork
        if scope in around or fork is None:
            continue
        seen = _BEHIND[fork.shape]
        if any(other.fork is fork for other in around):
            seen = Visibility.BESIDE if fork.shape in _SIDE_BY_SIDE else Visibility.NEVER
        if _WORST_LAST.index(seen) > _WORST_LAST.index(worst[0]):
            worst = (seen, fork)
    return worst


def covers(homes: list[Scope], reader: Scope) -> bool:
    """Whether one of these places is always reached before the reader: every arm of one block is among them."""
    reached = [home for home in homes if visibility(home, reader)[0] in (Visibility.SURE, Visibility.MAYBE)]
    if any(visibility(home, reader)[0] is Visibility.SURE for home in reached):
        return True
    for home in reached:
        fork, parent = home.fork, home.parent
        if fork is None or parent is None:
            continue
        if _BEHIND[fork.shape] is Visibility.SURE or fork.is_complete(reached):
            rest = [other for other in reached if other.fork is not fork]
            if covers([*rest, parent], reader):
                return True
    return False


def eaches_between(home: Scope, reader: Scope) -> list[Scope]:
    """The bodies of `each` blocks around a reply that are not around the reader, outermost first."""
    around = reader.chain()
    return [s for s in home.chain() if s.fork and s.fork.shape is Shape.EACH and s not in around]


def freeze(scope: Scope) -> tuple[Block, ...]:
    """The finished tree."""
    return tuple(_frozen(block) for block in scope.blocks)


def _frozen(block: Written) -> Block:
    match block:
        case Fork():
            return block.make(tuple(freeze(scope) for scope in block.scopes))
        case Asked():
            return block.make(block.sent_by[0] if block.sent_by else None)
        case _:
            return block
