"""Live spans of a participant: one around each command, through the OpenTelemetry API, so without an SDK there is none.

Names and attributes are those of the messaging conventions for RabbitMQ, semantic conventions 1.44. They are in
development: the strings stand here, and a test compares them with the package.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Token
from functools import lru_cache
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from saga.adapters.telemetry.span import CommandSpan, Fixed, KeepsCommandSpans
from saga.core.messages import CommandMessage, Kind, Outcome
from saga.core.spans.data import word
from saga.core.spans.messaging import MESSAGING_SYSTEM, processed_from
from saga.ports import Answered

SCOPE: Final = "saga"
PROCESS: Final = "process"
STEPS_MAX: Final = 1_024
"""Of which what stays the same is kept at hand."""

Step = tuple[str, str, str, str, Kind]
"""Type of the command, queue, name of the saga, path, kind."""

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
ROUTING_KEY: Final = "messaging.rabbitmq.destination.routing_key"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

AIO_PIKA_INSTRUMENTATION: Final = "opentelemetry.instrumentation.aio_pika"

log = logging.getLogger("saga.telemetry")


class LiveTracing:
    """See `saga.ports.Tracing`. Whoever runs the process decides where spans go, by the SDK they configure."""

    def __init__(self, broker: str = "", *, provider: trace.TracerProvider | None = None) -> None:
        """`broker` is the url of its connection: host and port stand in each span, nothing else of it.

        `provider` is the process's own unless it is given.
        """
        address = urlsplit(broker)
        self._server: dict[str, str | int] = {}
        if address.scheme in {"amqp", "amqps"} and address.hostname:
            self._server = {SERVER_ADDRESS: address.hostname, SERVER_PORT: address.port or 5672}
        self._provider = provider
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=provider)
        self._known: dict[Step, Fixed] = {}

    def processing(self, command: CommandMessage, queue: str) -> AbstractContextManager[Answered]:
        """See `saga.ports.Tracing`."""
        provider = self._provider or trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            return _NOBODY  # no SDK in this process
        parent = _remote(command.traceparent, command.tracestate)
        if isinstance(provider, KeepsCommandSpans) and parent is not None:
            if not parent.trace_flags.sampled:
                return _Within(NonRecordingSpan(parent), _nobody_listens)
            return _Within(
                span := CommandSpan(command, self._fixed(command, queue), parent, provider.keep), span.answered
            )
        return self._by_sdk(command, queue, parent)

    @contextmanager
    def _by_sdk(self, command: CommandMessage, queue: str, parent: SpanContext | None) -> Iterator[Answered]:
        """By a provider of somebody's own: its sampler, its processors, its exporter."""
        name, fixed = _described((command.type_name, queue, command.saga_name, command.path, command.kind))
        span = self._tracer.start_span(
            name,
            context=Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            kind=SpanKind.CONSUMER,
            attributes={
                **fixed,
                **self._server,
                "saga.step.execution": command.execution,
                "saga.step.attempt": command.attempt,
                MESSAGE_ID: command.message_id,
                CONVERSATION_ID: command.saga,
                "saga.id": command.saga,
            },
            links=[] if parent is None else [Link(parent)],
        )

        def answered(outcome: Outcome, code: str) -> None:
            _answered(span, outcome, code)

        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield answered

    def current(self, command: CommandMessage) -> str:
        """See `saga.ports.Tracing`."""
        here = trace.get_current_span().get_span_context()
        same = command.traceparent is None or f"{here.trace_id:032x}" == command.traceparent[3:35]
        return f"{here.span_id:016x}" if here.is_valid and same else ""

    def _fixed(self, command: CommandMessage, queue: str) -> Fixed:
        step = command.type_name, queue, command.saga_name, command.path, command.kind
        found = self._known.get(step)
        if found is None:
            if len(self._known) >= STEPS_MAX:
                self._known.clear()
            name, attributes = _described(step)
            found = self._known[step] = Fixed(name, {**attributes, **self._server})
        return found


class _Within:
    """A span that stands in the context, and ends, with what happens inside. Nothing of an error's text is kept."""

    __slots__ = ("_answered", "_span", "_token")

    def __init__(self, span: Span, answered: Answered) -> None:
        self._span = span
        self._answered = answered
        self._token: Token[Context] | None = None

    def __enter__(self) -> Answered:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self._answered

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        assert self._token is not None
        context.detach(self._token)
        self._span.end()


def _nobody_listens(_outcome: Outcome, _code: str) -> None:
    """Without an SDK, and of a saga that is not traced."""


_NOBODY: Final = nullcontext(_nobody_listens)


def _answered(span: Span, outcome: Outcome, code: str) -> None:
    span.set_attribute("saga.outcome", outcome.value)
    if outcome is not Outcome.OK:
        span.set_attribute("error.type", word(code))
        span.set_status(Status(StatusCode.ERROR))


@lru_cache(maxsize=STEPS_MAX)
def _described(step: Step) -> tuple[str, dict[str, str | int]]:
    """Name and attributes that all commands of a step have."""
    type_name, queue, saga_name, path, kind = step
    destination = processed_from(type_name, queue)
    return f"{PROCESS} {destination}", {
        SYSTEM: MESSAGING_SYSTEM,
        OPERATION_NAME: PROCESS,
        OPERATION_TYPE: PROCESS,
        DESTINATION: destination,
        ROUTING_KEY: type_name,
        "saga.name": saga_name,
        "saga.step.name": path,
        "saga.step.kind": kind.value,
    }


def _remote(traceparent: str | None, tracestate: str | None) -> SpanContext | None:
    """The span that sent it. The wire has checked the form."""
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )


def warn_of_doubles() -> bool:
    """Say once if another instrumentation shows each message a second time, and how to turn it off."""
    module = sys.modules.get(AIO_PIKA_INSTRUMENTATION)
    if module is None or not module.AioPikaInstrumentor().is_instrumented_by_opentelemetry:
        return False
    if not _doubles_told:
        _doubles_told.append(True)
        log.warning(
            "opentelemetry-instrumentation-aio-pika is active: messages are shown twice. "
            "Fix: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=aio_pika"
        )
    return True


_doubles_told: list[bool] = []
