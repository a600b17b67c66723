"""The span around one command, where this process sends its spans by itself.

The SDK's own takes 200 microseconds from its start to its bytes, and a participant does little else for a command.
This one holds what cannot be known before, is encoded later, on another thread, and is a real parent: it stands in the
SDK's context, and a handler and its instrumentations may add to it what they add to any span.
"""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from random import getrandbits  # noqa: TID251 - a span's id is of this run alone; nothing is decided by it
from time import time_ns  # noqa: TID251 - as the spans of the SDK around it
from typing import Final

from opentelemetry.trace import Span, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AnyValue, Attributes

from saga.adapters.telemetry import otlp
from saga.core.messages import CommandMessage, Outcome
from saga.core.spans.data import word

ADDED_MAX: Final = 128
"""Attributes, events and links that a handler may add, of each; as many as the SDK takes."""
KIND_CONSUMER: Final = 5
_SPAN_BITS: Final = 64
_CACHED_MAX: Final = 4_096
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)

Keep = Callable[["CommandSpan"], None]
"""Is handed a span that has ended; never waits."""


class CommandSpan(Span):
    """One command, from its delivery to its answer."""

    def __init__(self, command: CommandMessage, fixed: "Fixed", parent: SpanContext, keep: Keep) -> None:
        """Begins now. `keep` is handed the span once, at its end."""
        self._fixed = fixed
        self._parent = parent
        self._saga = command.saga
        self._message_id = command.message_id
        self._attempt = command.execution, command.attempt
        self._keep: Keep | None = keep
        self._context = SpanContext(
            parent.trace_id, getrandbits(_SPAN_BITS) or 1, is_remote=False, trace_flags=_SAMPLED,
            trace_state=parent.trace_state,
        )  # fmt: skip
        self._name = ""
        self._attributes: dict[str, AnyValue] = {}
        self._parts: list[bytes] = []
        self._events_count = self._links_count = 0
        self._status = b""
        self._end_ns = 0
        self._start_ns = time_ns()

    def answered(self, outcome: Outcome, code: str) -> None:
        """Told before it ends."""
        self._attributes["saga.outcome"] = outcome.value
        if outcome is not Outcome.OK:
            self._attributes["error.type"] = word(code)
            self.set_status(StatusCode.ERROR)

    def end(self, end_time: int | None = None) -> None:
        """The first call counts."""
        keep, self._keep = self._keep, None
        if keep is not None:
            self._end_ns = end_time or time_ns()
            keep(self)

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return self._keep is not None

    def set_attribute(self, key: str, value: AnyValue) -> None:
        if self._keep is not None and (key in self._attributes or len(self._attributes) < ADDED_MAX):
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if self._keep is not None and self._events_count < ADDED_MAX:
            self._events_count += 1
            self._parts.append(otlp.event(name, timestamp or time_ns(), otlp.attributes(3, attributes or {})))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        if self._keep is not None and self._links_count < ADDED_MAX:
            self._links_count += 1
            self._parts.append(_link(context, otlp.attributes(4, attributes or {})))

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - the API's own
    ) -> None:
        """As the SDK does it: whoever calls this wants the text."""
        kind = type(exception)
        plain = kind.__module__ == "builtins"
        found = {
            "exception.type": kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self._keep is None:
            return
        found = status if isinstance(status, Status) else Status(status, description)
        self._status = otlp.status(found.status_code.value, found.description or "")

    def update_name(self, name: str) -> None:
        if self._keep is not None:
            self._name = name

    def encoded(self) -> bytes:
        """As OTLP has it. Called after its end, on any thread."""
        own, above = self._context, self._parent
        return b"".join(
            (
                otlp.head(
                    own.trace_id.to_bytes(16, "big"),
                    own.span_id.to_bytes(8, "big"),
                    above.span_id.to_bytes(8, "big"),
                    otlp.named(self._name or self._fixed.name, KIND_CONSUMER),
                ),
                otlp.times(self._start_ns, self._end_ns),
                self._fixed.attributes,
                _numbers(*self._attempt),
                otlp.identifier(9, "messaging.message.id", self._message_id),
                otlp.identifier(9, "messaging.message.conversation_id", self._saga),
                otlp.identifier(9, "saga.id", self._saga),
                otlp.attributes(9, self._attributes),
                *self._parts,
                _link(above, b""),
                self._status,
            )
        )


class KeepsCommandSpans(ABC):
    """A tracer provider of ours: spans around commands are made here and handed to it."""

    @abstractmethod
    def keep(self, span: CommandSpan) -> None:
        """Takes a span that has ended. Never waits."""


class Fixed:
    """What all commands of one step have in common, encoded once."""

    __slots__ = ("attributes", "name")

    def __init__(self, name: str, attributes: Mapping[str, str | int]) -> None:
        self.name = name
        self.attributes = otlp.attributes(9, attributes)


@lru_cache(maxsize=_CACHED_MAX)
def _numbers(execution: int, attempt: int) -> bytes:
    return otlp.attributes(9, {"saga.step.execution": execution, "saga.step.attempt": attempt})


def _link(to: SpanContext, attributes: bytes) -> bytes:
    return otlp.link(to.trace_id.to_bytes(16, "big"), to.span_id.to_bytes(8, "big"), attributes)
