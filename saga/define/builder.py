"""What is written so far: scopes, names, positions and times. The verbs of `Saga` are thin over this."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from saga.core.bounds import SLEEP_MAX
from saga.core.definition import DEPTH_MAX, NAME_CHARACTERS_MAX, PATH_CHARACTERS_MAX, OnExhausted, Step
from saga.core.expression import Expression
from saga.define.blocks import Fork, Scope, Shape, Written
from saga.define.built import Definition
from saga.define.commands import asked_with, contract_at, template
from saga.define.opening import Opening
from saga.define.operations import operation
from saga.define.placeholder import Placeholder, PlaceholderMisuse, Source, show
from saga.define.positions import check_position
from saga.define.recorded import INPUT, SIGNAL, Site
from saga.define.times import Times, comparable, retry_policy, within
from saga.define.values import Values

E = TypeVar("E", bound=StrEnum)

NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{NAME_CHARACTERS_MAX - 1}}}")
NAME_FIX = f"a letter, then letters, digits, '-' and '_', at most {NAME_CHARACTERS_MAX}"
INDEX_CHARACTERS_MAX = len("[999]")
"""What an item or a turn adds to a path when the saga runs."""
_RESERVED = {INPUT: "means the saga's input", SIGNAL: "means the signal that a wait looks at"}


class Builder:
    """One build of one definition."""

    def __init__(self, name: str, deadline: timedelta) -> None:
        self.name = name
        self.deadline = deadline
        self.root = Scope()
        self.scope = self.root
        self.values = Values(operation)
        self.key: Expression | None = None
        self.requester: Expression | None = None
        self.tags: dict[str, Expression] = {}
        self.children: list[Definition[Any, Any]] = []
        self.signals: dict[str, Any] = {}
        """The type of each signal, by its name."""
        self.unopened: dict[int, Opening[object]] = {}
        """Blocks that were called and not opened with `with`."""
        self._names: set[str] = set(_RESERVED)
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

    def source(self, path: str, kind: Any, home: Scope) -> Placeholder:
        """The placeholder of what is recorded at a path."""
        self.values.found.homes.setdefault(path, home)
        return Placeholder("source", kind, Source(self.values.found, path))

    # ------------------------------------------------------------------------------------------------------ steps

    def begin(self, name: str, command: object, times: Times) -> tuple[Step, Any]:
        """A step with its command, and the placeholder of its reply. `add` it, complete, at once."""
        path = self.claim(name)
        check_position(self.values.found, path, times.kind, self.scope)
        contract = contract_at(self.values, command, path)
        times = comparable(self.values.found, path, times)
        step = Step(
            path=path,
            kind=times.kind,
            command=template(self.values, command, self.site(path)),
            retry=retry_policy(self.values.found, path, times.retry),
            timeout=times.timeout,
            within=within(self.values.found, path, times, self.scope, self.deadline),
            on_exhausted=self.member(OnExhausted, times.on_exhausted, f"{path}.on_exhausted"),
        )
        self._note_sending(command, path)
        return step, self.source(path, contract.reply if contract else Any, self.scope)

    def _note_sending(self, command: object, path: str) -> None:
        if (asked := asked_with(self.values.found, command)) is None:
            return
        asked.sent_by.append(path)
        if asked.scope.prefix != self.scope.prefix:
            reason = f"is sent for every item or turn of '{self.scope.prefix[:-1]}', but a permit is good for one"
            self.bad(path, f"'{asked.path}' {reason}", "ask for the approval inside the block")

    def add(self, block: Written) -> None:
        """Put it where we are."""
        self.scope.blocks.append(block)

    def claim(self, name: object) -> str:
        """Take a name for a step or block. Returns its path."""
        if self._undoing is not None:
            raise PlaceholderMisuse(self._undoing, "its undo writes steps", "an undo returns one command")
        if isinstance(name, Placeholder):
            raise PlaceholderMisuse(show(name), "is used as a name", "names are constants")
        path = f"{self.scope.prefix}{name}"
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.bad(str(name)[:NAME_CHARACTERS_MAX], f"the name {name!r} does not fit a path", NAME_FIX)
        elif name in self._names:
            self.bad(path, _RESERVED.get(name, "is used twice"), "give it a name of its own")
        elif len(path) + path.count("/") * INDEX_CHARACTERS_MAX > PATH_CHARACTERS_MAX:
            reason = f"its path would be longer than {PATH_CHARACTERS_MAX} characters in a run"
            self.bad(path, reason, "shorten the names of the blocks around it")
        self._names.add(str(name))
        return path

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

    def is_time(self, place: str, word: str, time: object) -> bool:
        """Whether a time is one that can be waited for; a problem if not."""
        if not isinstance(time, timedelta):
            self.bad(place, f"{word}={time!r} has no unit", f"{word}=timedelta(minutes=...)")
            return False
        if not timedelta(0) < time <= SLEEP_MAX:
            fix = f"a positive time of at most {SLEEP_MAX.days} days"
            self.bad(place, f"{word}={time} is no time that can be waited for", fix)
            return False
        return True

    def is_count(self, place: str, word: str, count: object, most: int) -> bool:
        """Whether a bound is a number from 1 on; a problem if not."""
        fits = isinstance(count, int) and 1 <= count <= most
        if not fits:
            self.bad(place, f"{word}={count!r} is no bound", f"{word}=1 to {most}")
        return fits

    # ----------------------------------------------------------------------------------------------------- blocks

    def when_name(self, name: str | None) -> str:
        """The name given, or the next free `when-<n>`, as a path."""
        while name is None:
            self._whens += 1
            name = f"when-{self._whens}" if f"when-{self._whens}" not in self._names else None
        return self.claim(name)

    @contextmanager
    def fork(self, fork: Fork, name: str = "block") -> Iterator[Scope]:
        """Put a block where we are, and write its first sequence."""
        self.add(fork)
        with self.sequence(fork, self.opened(fork, name)) as scope:
            yield scope
        fork.written = True

    def opened(self, fork: Fork, name: str) -> Scope:
        """One more sequence of a block, to be written next."""
        prefix = f"{fork.path}/" if fork.shape in (Shape.EACH, Shape.REPEAT) else self.scope.prefix
        scope = Scope(name, self.scope, fork, prefix)
        fork.scopes.append(scope)
        return scope

    @contextmanager
    def sequence(self, fork: Fork, inside: Scope) -> Iterator[Scope]:
        """Write inside one sequence of a block."""
        before, self.scope = self.scope, inside
        if len(inside.chain()) > DEPTH_MAX:
            self.bad(fork.path, f"is nested deeper than {DEPTH_MAX}", "split the saga")
        try:
            yield inside
        finally:
            inside.open = False
            self.scope = before
        if not inside.blocks:
            self.bad(fork.path, f"its {inside.name} is empty", "put a step into it, or remove it")

    @contextmanager
    def otherwise(self, fork: Fork) -> Iterator[None]:
        """Write the other way of a block, directly behind it."""
        if fork.scopes[0].open:
            self.bad(fork.path, "its otherwise stands inside it", "write it directly behind the block, not in it")
        elif len(fork.scopes) > 1:
            self.bad(fork.path, "has two otherwise", "put all steps into one")
        elif not self.scope.blocks or self.scope.blocks[-1] is not fork:
            self.bad(fork.path, "its otherwise does not follow directly", "move it directly behind the block")
        with self.sequence(fork, self.opened(fork, "otherwise")):
            yield


class Verbs:
    """What the groups of verbs share. Together they are `saga.define.Saga`."""

    __slots__ = ("_builder",)

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    @property
    def _place(self) -> str:
        return "block"
