"""What is written so far: scopes, names, positions and times. The verbs of `Saga` are thin over this."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from saga.core.definition import DEPTH_MAX, NAME_CHARACTERS_MAX, OnExhausted, Step, StepKind
from saga.core.errors import Problem
from saga.core.expression import Expression
from saga.define.blocks import Arm, Fork, Scope
from saga.define.commands import contract_at, template
from saga.define.operations import operation
from saga.define.placeholder import Placeholder, PlaceholderMisuse, Source, show
from saga.define.recorded import INPUT, Site
from saga.define.times import Times, retry_policy, within
from saga.define.values import Values

E = TypeVar("E", bound=StrEnum)

NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{NAME_CHARACTERS_MAX - 1}}}")
NAME_FIX = f"a letter, then letters, digits, '-' and '_', at most {NAME_CHARACTERS_MAX}"


class Builder:
    """One build of one definition."""

    def __init__(self, deadline: timedelta) -> None:
        self.deadline = deadline
        self.root = Scope(Arm.ROOT)
        self.scope = self.root
        self.values = Values(operation)
        self.key: Expression | None = None
        self.requester: Expression | None = None
        self.tags: dict[str, Expression] = {}
        self._names: set[str] = {INPUT}
        self._whens = 0
        self._undoing: str | None = None

    def bad(self, place: str, reason: str, fix: str) -> None:
        """Note a problem."""
        self.values.bad(place, reason, fix)

    def site(self, place: str) -> Site:
        """Here, now."""
        return Site(place, self.scope)

    def at_start(self, place: str) -> Site:
        """When the saga starts, and only its input is there."""
        return Site(place, self.root, input_only=True)

    # ------------------------------------------------------------------------------------------------------ steps

    def begin(self, name: str, command: object, times: Times) -> tuple[Step, Any]:
        """A step with its command, and the placeholder of its reply. `add` it, complete, at once."""
        self.claim(name)
        self._check_position(name, times.kind)
        action = template(self.values, command, self.site(name))
        contract = contract_at(self.values, command, name)
        self.values.found.homes.setdefault(name, self.scope)
        step = Step(
            path=name,
            kind=times.kind,
            command=action,
            retry=retry_policy(self.values.found, name, times.retry),
            timeout=times.timeout,
            within=within(self.values.found, name, times, self.scope, self.deadline),
            on_exhausted=self.member(OnExhausted, times.on_exhausted, f"{name}.on_exhausted"),
        )
        return step, Placeholder("source", contract.reply if contract else Any, Source(self.values.found, name))

    def add(self, step: Step) -> None:
        """Put it where we are."""
        self.scope.blocks.append(step)

    def claim(self, name: object) -> None:
        """Take a name for a step or block."""
        if self._undoing is not None:
            raise PlaceholderMisuse(self._undoing, "its undo writes steps", "an undo returns one command")
        if isinstance(name, Placeholder):
            raise PlaceholderMisuse(show(name), "is used as a name", "names are constants")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.bad(str(name)[:NAME_CHARACTERS_MAX], f"the name {name!r} does not fit a path", NAME_FIX)
        elif name in self._names:
            self.bad(name, "is used twice" if name != INPUT else "means the saga's input", "give it a name of its own")
        self._names.add(str(name))

    @contextmanager
    def undoing(self, name: str) -> Iterator[None]:
        """While the author's undo function runs."""
        self._undoing = name
        try:
            yield
        finally:
            self._undoing = None

    def member(self, kind: type[E], value: object, place: str) -> E:
        """The policy an author named, or the first one and a problem."""
        names = [str(member.value) for member in kind]
        if isinstance(value, str) and value in names:
            return kind(value)
        self.bad(place, f"{value!r} is not possible here", " or ".join(f"On.{name.upper()}" for name in names))
        return next(iter(kind))

    def _check_position(self, name: str, kind: StepKind) -> None:
        passed = self.scope.pivot_passed()
        if kind is StepKind.COMPENSATABLE and passed:
            fix = "use s.retryable, or move it before the pivot"
            self.bad(name, f"stands after the pivot '{passed}', where nothing is undone any more", fix)
        if kind is StepKind.RETRYABLE and not passed:
            fix = "use s.step with undo=, or mark the point of no return with s.pivot"
            self.bad(name, "is retryable, but no pivot comes before it", fix)
        if kind is StepKind.PIVOT and passed:
            self.bad(name, f"is a second pivot after '{passed}'", "keep one point of no return")
        attempt = next((s.fork.path for s in self.scope.chain() if s.fork and s.fork.condition is None), None)
        if kind is StepKind.PIVOT and attempt:
            reason = f"is a pivot inside the attempt '{attempt}', which could not be undone"
            self.bad(name, reason, "move it behind the block")

    # ----------------------------------------------------------------------------------------------------- blocks

    def when_name(self, name: str | None) -> str:
        """The name given, or the next free `when-<n>`."""
        while name is None:
            self._whens += 1
            name = f"when-{self._whens}" if f"when-{self._whens}" not in self._names else None
        self.claim(name)
        return name

    @contextmanager
    def arm(self, fork: Fork, arm: Arm) -> Iterator[None]:
        """Write inside one arm of a block."""
        inside = fork.first
        if arm is Arm.OTHERWISE:
            self._check_otherwise(fork)
            inside = fork.second = Scope(arm, self.scope, fork)
        before, self.scope = self.scope, inside
        if len(inside.chain()) > DEPTH_MAX:
            self.bad(fork.path, f"is nested deeper than {DEPTH_MAX}", "split the saga")
        try:
            yield
        finally:
            inside.open = False
            self.scope = before
        if not inside.blocks:
            self.bad(fork.path, f"its {_ARM_NAMES[arm]} is empty", "put a step into it, or remove it")

    def open_fork(self, fork: Fork) -> None:
        """Put a block where we are; its first arm is written next."""
        self.scope.blocks.append(fork)
        fork.first.parent, fork.first.fork = self.scope, fork

    def _check_otherwise(self, fork: Fork) -> None:
        if fork.first.open:
            self.bad(fork.path, "its otherwise stands inside it", "write it directly behind the block, not in it")
        elif fork.second is not None:
            self.bad(fork.path, "has two otherwise", "put all steps into one")
        elif not self.scope.blocks or self.scope.blocks[-1] is not fork:
            self.bad(fork.path, "its otherwise does not follow directly", "move it directly behind the block")


_ARM_NAMES = {Arm.ROOT: "body", Arm.FIRST: "block", Arm.OTHERWISE: "otherwise"}


def problems_of_pivots(scope: Scope) -> list[Problem]:
    """A pivot under a condition needs one in the other arm too: a saga has a point of no return, or has none."""
    found: list[Problem] = []
    for fork in scope.blocks:
        if not isinstance(fork, Fork):
            continue
        arms = [arm for arm in (fork.first, fork.second) if arm is not None]
        pivot = fork.pivot()
        if pivot and fork.condition is not None and not (len(arms) == 2 and all(map(_has_pivot, arms))):
            reason = f"is a pivot in one arm of '{fork.path}' only"
            found.append(Problem(pivot, reason, "move it behind the block, or give every arm its pivot"))
        for arm in arms:
            found += problems_of_pivots(arm)
    return found


def _has_pivot(scope: Scope) -> bool:
    return any(
        block.pivot() is not None if isinstance(block, Fork) else block.kind is StepKind.PIVOT for block in scope.blocks
    )
