"""The tree while it is written: scopes, what stands in them, and what may be seen from where."""

from dataclasses import dataclass, field
from enum import StrEnum

from saga.core.definition import Attempt, Block, Step, StepKind, When
from saga.core.expression import Expression


class Arm(StrEnum):
    """Which part of a block a scope is."""

    ROOT = "root"
    FIRST = "first"
    """Then, or the body of an attempt."""
    OTHERWISE = "otherwise"


class Visibility(StrEnum):
    """What one place may expect of a step's reply."""

    SURE = "sure"
    MAYBE = "maybe"
    """The step stands in a block that may not have been taken, or was undone."""
    NEVER = "never"
    """The step stands in the other arm of the same block."""


@dataclass(eq=False)
class Scope:
    """A sequence of blocks."""

    arm: Arm
    parent: "Scope | None" = None
    fork: "Fork | None" = None
    blocks: "list[Step | Fork]" = field(default_factory=list)
    open: bool = True

    def chain(self) -> "list[Scope]":
        """This scope and all around it, outermost first."""
        return [*(self.parent.chain() if self.parent else []), self]

    def pivot_passed(self) -> str | None:
        """The pivot that stands before the end of this scope on every way here, if one does."""
        for scope in self.chain():
            for block in scope.blocks:
                if isinstance(block, Step):
                    if block.kind is StepKind.PIVOT:
                        return block.path
                elif not block.is_open() and (inner := block.pivot()):
                    return inner
        return None


@dataclass(eq=False)
class Fork:
    """A `when` or an `attempt`."""

    path: str
    first: Scope
    condition: Expression | None = None
    """Of a `when`; an attempt has none."""
    on: tuple[str, ...] = ()
    second: Scope | None = None

    def is_open(self) -> bool:
        """Whether it is still being written."""
        return self.first.open or (self.second is not None and self.second.open)

    def pivot(self) -> str | None:
        """A pivot in one of the arms."""
        for scope in (self.first, self.second):
            for block in scope.blocks if scope else ():
                found = block.pivot() if isinstance(block, Fork) else _pivot_path(block)
                if found:
                    return found
        return None


def _pivot_path(step: Step) -> str | None:
    return step.path if step.kind is StepKind.PIVOT else None


def visibility(home: Scope, reader: Scope) -> tuple[Visibility, str]:
    """What a reader in one scope may expect of a step in another, and the block that is the reason."""
    around = reader.chain()
    for scope in home.chain():
        if scope in around or scope.fork is None:
            continue
        if any(other.fork is scope.fork for other in around):
            return Visibility.NEVER, scope.fork.path
        return Visibility.MAYBE, scope.fork.path
    return Visibility.SURE, ""


def covers(homes: list[Scope], reader: Scope) -> bool:
    """Whether one of these places is always reached before the reader: both arms of one block are among them."""
    reached = [scope for scope in homes if visibility(scope, reader)[0] is not Visibility.NEVER]
    if any(visibility(scope, reader)[0] is Visibility.SURE for scope in reached):
        return True
    for scope in reached:
        fork, parent = scope.fork, scope.parent
        if fork is None or parent is None:
            continue
        if {other.arm for other in reached if other.fork is fork} == {Arm.FIRST, Arm.OTHERWISE}:
            rest = [other for other in reached if other.fork is not fork]
            if covers([*rest, parent], reader):
                return True
    return False


def freeze(scope: Scope) -> tuple[Block, ...]:
    """The finished tree."""
    return tuple(_frozen(block) for block in scope.blocks)


def _frozen(block: Step | Fork) -> Block:
    if isinstance(block, Step):
        return block
    otherwise = freeze(block.second) if block.second else ()
    if block.condition is None:
        return Attempt(path=block.path, on=block.on, body=freeze(block.first), otherwise=otherwise)
    return When(path=block.path, condition=block.condition, then=freeze(block.first), otherwise=otherwise)
