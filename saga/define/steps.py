"""The verbs of steps: one for each class, so that a step without its undo is a type error."""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal, Never, TypeVar, cast

import msgspec

from saga.contract import Command, Effect, Failure
from saga.core.definition import OnUndoFailed, StepKind
from saga.define.builder import Verbs
from saga.define.commands import Undoing, called_with_reply, undoing
from saga.define.times import Times, retry_policy
from saga.define.words import TIMEOUT_DEFAULT, On, Retry, no_undo

T = TypeVar("T")

RETRY = Retry()
UNDO_RETRY = Retry(attempts=30, cap=timedelta(minutes=10))


class Steps(Verbs):
    """One command each."""

    __slots__ = ()

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
        path = step.path
        with builder.undoing(path):
            given = called_with_reply(undo, reply)
        undone = undoing(builder.values, builder.site(path), step.command, given, unknown)
        if step.command.effect is Effect.READ_ONLY:
            builder.bad(path, f"{step.command.name} is read_only: there is nothing to undo", "use s.read")
        complete = msgspec.structs.replace(
            step,
            undo=undone.known,
            undo_unknown=undone.unknown,
            no_undo=undone.reason,
            undo_retry=retry_policy(builder.values.found, f"{path}.undo_retry", undo_retry),
            on_undo_failed=builder.member(OnUndoFailed, on_undo_failed, f"{path}.on_undo_failed"),
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
            self._builder.bad(step.path, reason, "use s.step with undo=, or declare read_only in its contract")
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
            self._builder.bad(step.path, reason, "move it before the pivot, or make it the pivot")
        self._builder.add(step)
        return cast("T", reply)
