"""The verbs of a definition: `Saga`, handed to the author's function while it runs to be written down."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal, Never, TypeVar, cast

import msgspec

from saga.contract import Command, Effect, Failure
from saga.core.definition import OnUndoFailed, StepKind
from saga.define.blocks import Arm, Fork, Scope
from saga.define.builder import NAME, NAME_FIX, Builder
from saga.define.commands import Undoing, called_with_reply, undoing
from saga.define.placeholder import Placeholder, value_of
from saga.define.shapes import plain
from saga.define.times import Times, retry_policy
from saga.define.words import TIMEOUT_DEFAULT, On, Retry, no_undo, placeholder_in

T = TypeVar("T")

RETRY = Retry()
UNDO_RETRY = Retry(attempts=30, cap=timedelta(minutes=10))
Taggable = str | int | Decimal | datetime | Enum


class Otherwise:
    """A block that may have another way: `with pay.otherwise(): ...`, directly behind it."""

    __slots__ = ("_builder", "_fork")

    def __init__(self, builder: Builder, fork: Fork) -> None:
        self._builder, self._fork = builder, fork

    def otherwise(self) -> AbstractContextManager[None]:
        """The other way: of a `when`, if the condition does not hold; of an `attempt`, once all of it is undone."""
        return self._builder.arm(self._fork, Arm.OTHERWISE)


class Saga:
    """Writes a definition down. Names of steps and blocks are unique in a definition, and are their paths."""

    __slots__ = ("_builder",)

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def step(  # noqa: PLR0913 - each is a word of its own
        self,
        name: str,
        command: Command[T, Failure],
        *,
        undo: Undoing | Callable[[T], Undoing] | no_undo,
        unknown: Undoing | None = None,
        retry: Retry = RETRY,
        timeout: timedelta = TIMEOUT_DEFAULT,
        within: timedelta | None = None,
        on_exhausted: Literal[On.PARK, On.COMPENSATE] = On.PARK,
        undo_retry: Retry = UNDO_RETRY,
        on_undo_failed: Literal[On.HOLD, On.CONTINUE] = On.HOLD,
    ) -> T:
        """Do what can be undone; before the pivot. Returns the reply.

        `undo` is a command, a function from the reply to a command, or `no_undo(reason)`. One that reads the reply
        needs `unknown`: what to send when no reply came. `timeout` is that of one attempt, `within` (an hour) of them
        all; used up, the step parks unless `on_exhausted=On.COMPENSATE`. `on_undo_failed` says what the other
        compensations do while this one stands in front of an operator.
        """
        builder = self._builder
        times = Times(
            kind=StepKind.COMPENSATABLE, retry=retry, timeout=timeout, within=within, on_exhausted=on_exhausted
        )
        step, reply = builder.begin(name, command, times)
        with builder.undoing(name):
            given = called_with_reply(undo, reply)
        undone = undoing(builder.values, builder.site(name), step.command, given, unknown)
        if step.command.effect is Effect.READ_ONLY:
            builder.bad(name, f"{step.command.name} is read_only: there is nothing to undo", "use s.read")
        complete = msgspec.structs.replace(
            step,
            undo=undone.known,
            undo_unknown=undone.unknown,
            no_undo=undone.reason,
            undo_retry=retry_policy(builder.values.found, f"{name}.undo_retry", undo_retry),
            on_undo_failed=builder.member(OnUndoFailed, on_undo_failed, f"{name}.on_undo_failed"),
        )
        builder.add(complete)
        return cast("T", reply)

    def read(
        self,
        name: str,
        command: Command[T, Failure],
        *,
        retry: Retry = RETRY,
        timeout: timedelta = TIMEOUT_DEFAULT,
        within: timedelta | None = None,
        on_exhausted: Literal[On.PARK, On.COMPENSATE] = On.PARK,
    ) -> T:
        """Ask without changing anything (effect `read_only`), before or after the pivot. Returns the reply."""
        times = Times(kind=StepKind.READ, retry=retry, timeout=timeout, within=within, on_exhausted=on_exhausted)
        step, reply = self._builder.begin(name, command, times)
        if step.command.effect is not Effect.READ_ONLY:
            reason = f"is a read, but {step.command.name} declares {step.command.effect}"
            self._builder.bad(name, reason, "use s.step with undo=, or declare read_only in its contract")
        self._builder.add(step)
        return cast("T", reply)

    def pivot(
        self, name: str, command: Command[T, Failure], *, retry: Retry = RETRY, timeout: timedelta = TIMEOUT_DEFAULT
    ) -> T:
        """The point of no return: once sent, nothing is undone unless it definitely failed. Returns the reply.

        It is repeated until it is decided, so `retry` sets only the back-off.
        """
        step, reply = self._builder.begin(name, command, Times(kind=StepKind.PIVOT, retry=retry, timeout=timeout))
        self._builder.add(step)
        return cast("T", reply)

    def retryable(
        self, name: str, command: Command[T, Never], *, retry: Retry = RETRY, timeout: timedelta = TIMEOUT_DEFAULT
    ) -> T:
        """Do what cannot refuse, after the pivot; repeated until it is done. Returns the reply."""
        step, reply = self._builder.begin(name, command, Times(kind=StepKind.RETRYABLE, retry=retry, timeout=timeout))
        if step.command.failures:
            reason = f"may refuse ({', '.join(step.command.failures)}), and after the pivot there is no way back"
            self._builder.bad(name, reason, "move it before the pivot, or make it the pivot")
        self._builder.add(step)
        return cast("T", reply)

    @contextmanager
    def when(self, condition: bool, *, name: str | None = None) -> Iterator[Otherwise]:  # noqa: FBT001 - the subject
        """Steps that are done only if the condition holds; it is looked at once, here, and recorded.

        `name` is the block's path; without it `when-1`, `when-2`, ... in the order written.
        """
        builder = self._builder
        placeholder_in("s.when", condition)
        path = builder.when_name(name)
        fork = Fork(path, Scope(Arm.FIRST), builder.values.expression(condition, bool, builder.site(path)))
        builder.open_fork(fork)
        with builder.arm(fork, Arm.FIRST):
            yield Otherwise(builder, fork)

    @contextmanager
    def attempt(self, name: str, *, on: Sequence[type[Failure] | Literal[On.EXHAUSTED]]) -> Iterator[Otherwise]:
        """Steps that are undone, all of them, when one fails for a reason in `on`; then the saga goes on.

        With `otherwise` it goes on there, else behind the block.
        """
        self._builder.claim(name)
        fork = Fork(name, Scope(Arm.FIRST), on=_reasons(self._builder, name, on))
        self._builder.open_fork(fork)
        with self._builder.arm(fork, Arm.FIRST):
            yield Otherwise(self._builder, fork)

    def key(self, value: str) -> None:
        """The business key, when the start names none: one saga for each key, for ever."""
        if self._builder.key is not None:
            self._builder.bad("key", "is given twice", "one business key, made with text(...) if it has parts")
        self._builder.key = self._builder.values.expression(value, str, self._builder.at_start("key"))

    def requester(self, value: str) -> None:
        """Who asks for this saga, as the input says."""
        if self._builder.requester is not None:
            self._builder.bad("requester", "is given twice", "name one")
        self._builder.requester = self._builder.values.expression(value, str, self._builder.at_start("requester"))

    def tag(self, **tags: Taggable) -> None:
        """Values of the input to find sagas by, written as text."""
        values = self._builder.values
        for name, value in tags.items():
            site = self._builder.at_start(f"tag.{name}")
            if not NAME.fullmatch(name):
                values.bad(site.place, "does not fit a tag", NAME_FIX)
            if name in self._builder.tags:
                values.bad(site.place, "is given twice", "give each tag a name of its own")
            is_text = isinstance(value, str) or (isinstance(value, Placeholder) and plain(value_of(value).type) is str)
            written = value if is_text else Placeholder("text", str, "{}", value)
            self._builder.tags[name] = values.expression(written, str, site)


def _reasons(builder: Builder, name: str, on: Sequence[type[Failure] | On]) -> tuple[str, ...]:
    reasons: list[str] = []
    for reason in on:
        if reason is On.EXHAUSTED:
            code = str(On.EXHAUSTED)
        elif isinstance(reason, type) and issubclass(reason, Failure):
            code = reason.__name__
        else:
            builder.bad(name, f"on={reason!r} is no reason to fail", "a declared failure, or On.EXHAUSTED")
            continue
        if code in reasons:
            builder.bad(name, f"on names {code} twice", "name it once")
        reasons.append(code)
    if not on:
        builder.bad(name, "on=[] reacts to nothing", "on=[CardDeclined, On.EXHAUSTED]")
    return tuple(reasons)


# Type checkers insist on `undo`. While a definition is built, a step without it is a problem like any other.
Saga.step.__kwdefaults__ = {**(Saga.step.__kwdefaults__ or {}), "undo": None}
