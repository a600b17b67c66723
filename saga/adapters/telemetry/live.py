"""Live spans of a participant: one around each command, through the OpenTelemetry API, so without an SDK there is none.

Names and attributes are those of the messaging conventions for RabbitMQ, semantic conventions 1.44. They are in
development: the strings stand here, and a test compares them with the package.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from saga.core.messages import CommandMessage, Outcome
from saga.core.spans.data import word
from saga.ports import Answered

SCOPE: Final = "saga"
PROCESS: Final = "process"
EXCHANGE_COMMANDS: Final = "saga.commands"
DESTINATIONS_MAX: Final = 1_024

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

    @contextmanager
    def processing(self, command: CommandMessage, queue: str) -> Iterator[Answered]:
        """See `saga.ports.Tracing`."""
        if self._provider is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            yield _nobody_listens  # no SDK in this process
            return
        parent = _remote(command.traceparent, command.tracestate)
        destination = _destination(command.type_name, queue)
        span = self._tracer.start_span(
            f"{PROCESS} {destination}",
            context=Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            kind=SpanKind.CONSUMER,
            attributes={
                SYSTEM: "rabbitmq",
                OPERATION_NAME: PROCESS,
                OPERATION_TYPE: PROCESS,
                DESTINATION: destination,
                ROUTING_KEY: command.type_name,
                MESSAGE_ID: command.message_id,
                CONVERSATION_ID: command.saga,
                "saga.id": command.saga,
                "saga.name": command.saga_name,
                "saga.step.name": command.path,
                "saga.step.kind": command.kind.value,
                "saga.step.execution": command.execution,
                "saga.step.attempt": command.attempt,
                **self._server,
            },
            links=[] if parent is None else [Link(parent)],
        )

        def answered(outcome: Outcome, code: str) -> None:
            _answered(span, outcome, code)

        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield answered


def _nobody_listens(_outcome: Outcome, _code: str) -> None:
    """Without an SDK."""


def _answered(span: Span, outcome: Outcome, code: str) -> None:
    span.set_attribute("saga.outcome", outcome.value)
    if outcome is not Outcome.OK:
        span.set_attribute("error.type", word(code))
        span.set_status(Status(StatusCode.ERROR))


@lru_cache(maxsize=DESTINATIONS_MAX)
def _destination(routing_key: str, queue: str) -> str:
    return f"{EXCHANGE_COMMANDS}:{routing_key}:{queue}"


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
