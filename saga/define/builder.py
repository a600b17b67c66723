"""What is written so far: scopes, names, positions and times. The verbs of `Saga` are thin over this."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from saga.core.definition import DEPTH_MAX, NAME_CHARACTERS_MAX, OnExhausted, RetryPolicy, Step, StepKind
from saga.core.errors import Problem
from saga.core.expression import Expression
from saga.define.blocks import Arm, Fork, Scope
from saga.define.commands import contract_at, template
from saga.define.operations import operation
from saga.define.placeholder import Placeholder, PlaceholderMisuse, Source, show
from saga.define.values import INPUT, Site, Values
from saga.define.words import WITHIN_DEFAULT, On, Retry

E = TypeVar("E", bound=StrEnum)

NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{NAME_CHARACTERS_MAX - 1}}}")
NAME_FIX = f"a letter, then letters, digits, '-' and '_', at most {NAME_CHARACTERS_MAX}"
_AFTER = (StepKind.PIVOT, StepKind.RETRYABLE)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often a step is tried, as the author wrote it."""

    retry: Retry
    timeout: timedelta
    within: timedelta | None = None
    on_exhausted: On = On.PARK


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

    def begin(self, name: str, kind: StepKind, command: object, times: Times) -> tuple[Step, Any]:
        """A step with its command, and the placeholder of its reply. `add` it, complete, at once."""
        self.claim(name)
        self._check_position(name, kind)
        action = template(self.values, command, self.site(name))
        contract = contract_at(self.values, command, name)
        self.values.homes.setdefault(name, self.scope)
        step = Step(
            path=name,
            kind=kind,
            command=action,
            retry=self.retry_policy(name, times.retry),
            timeout=times.timeout,
            within=self._within(name, kind, times),
            on_exhausted=self.member(OnExhausted, times.on_exhausted, f"{name}.on_exhausted"),
        )
        return step, Placeholder("source", contract.reply if contract else Any, Source(self.values, name))

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

    def retry_policy(self, place: str, retry: Retry) -> RetryPolicy:
        """The policy, looked at."""
        for reason, fix in _retry_reasons(retry):
            self.bad(place, reason, fix)
        return RetryPolicy(attempts=retry.attempts, first=retry.first, cap=retry.cap)

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

    def _within(self, name: str, kind: StepKind, times: Times) -> timedelta | None:
        passed = kind in _AFTER or self.scope.pivot_passed() is not None
        caught = any(s.arm is Arm.FIRST and s.fork and On.EXHAUSTED in s.fork.on for s in self.scope.chain())
        bounded = times.retry.attempts is not None or times.within is not None
        if passed and not (caught and kind is StepKind.READ):
            if bounded or times.on_exhausted is not On.PARK:
                reason = "gives up, but from the pivot on there is no way back: it is repeated until it is decided"
                self.bad(name, reason, "remove attempts=, within= and on_exhausted=")
            self._check_timeout(name, times.timeout, None)
            return None
        unbounded = passed and not bounded
        within = times.within or (None if unbounded else min(WITHIN_DEFAULT, self.deadline))
        self._check_timeout(name, times.timeout, within)
        return within

    def _check_timeout(self, name: str, timeout: timedelta, within: timedelta | None) -> None:
        if timeout <= timedelta(0) or (within is not None and within <= timedelta(0)):
            self.bad(name, f"timeout={timeout}, within={within}: no time at all", "give positive times")
        if within is not None and timeout > within:
            reason = f"timeout={timeout} of one attempt is longer than within={within} of all attempts"
            self.bad(name, reason, "shorten timeout= or lengthen within=")
        if (within or timeout) > self.deadline:
            reason = f"{'within' if within else 'timeout'}={within or timeout} is longer than the saga's deadline"
            self.bad(name, f"{reason} of {self.deadline}", "shorten it, or lengthen deadline= of define")

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


def _retry_reasons(retry: Retry) -> Iterator[tuple[str, str]]:
    if retry.attempts is not None and retry.attempts < 1:
        yield f"attempts={retry.attempts}: it would never be sent", "1 or more, or None"
    if retry.first <= timedelta(0):
        yield f"first={retry.first}: repeats would not wait", "give a positive time"
    if retry.first > retry.cap:
        yield f"first={retry.first} is longer than cap={retry.cap}", "make cap at least first"


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
