"""Where a log record belongs: the command that is being handled while it is written, and the span it is written in."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from saga.core.about import Fields, of_command
from saga.core.messages import CommandMessage
from saga.ports import Tracing

_handled: ContextVar[tuple[CommandMessage, Tracing | None] | None] = ContextVar("saga_handled", default=None)


@contextmanager
def handling(command: CommandMessage, tracing: Tracing | None) -> Iterator[None]:
    """As long as this lasts, what this task and those it starts write to a log is about the command."""
    token = _handled.set((command, tracing))
    try:
        yield
    finally:
        _handled.reset(token)


class SagaFields(logging.Filter):
    """Gives each record written while a command is handled its `trace_id`, `span_id`, `saga_id`, `saga_name`, `step`
    and `attempt`: those of the engine, of a handler, and of the libraries a handler calls.

    The span is the one the record is written in: the handler's own, the one around the command, or without any SDK the
    attempt that sent it. `saga serve` and `saga dev` install it. Elsewhere add it to each handler of `logging` that
    writes, not to a logger: `handler.addFilter(SagaFields())`. What a record says itself is left as it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        for name, value in here().items():
            vars(record).setdefault(name, value)
        return True


def here() -> Fields:
    """The fields of a record written now; none outside of any command."""
    handled = _handled.get()
    if handled is None:
        return {}
    command, tracing = handled
    return of_command(command, "" if tracing is None else tracing.current(command))
