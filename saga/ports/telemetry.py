"""Where spans go, and where the live ones of a participant come from."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from saga.core.messages import CommandMessage, Outcome
from saga.core.spans import Span

Answered = Callable[[Outcome, str], None]
"""Told the answer and its code before the span ends."""


class Tracing(Protocol):
    """Live spans around the work of this process."""

    def processing(self, command: CommandMessage, queue: str) -> AbstractContextManager[Answered]:
        """A span around one command, child of the attempt that sent it; what happens inside is its child."""
        ...

    def current(self, command: CommandMessage) -> str:
        """The id of the span that code runs in now, if it is in the trace of this command; empty without one."""
        ...


class TraceBackend(Protocol):
    """A tracing backend. It may be sent the same span twice, and knows it by its id."""

    @property
    def rejected(self) -> int:
        """Spans it will never take, so far: they are dropped."""
        ...

    async def export(self, spans: Sequence[Span]) -> None:
        """Hand over all of them. Raises Unavailable while it cannot take them: send all of them again, later."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
