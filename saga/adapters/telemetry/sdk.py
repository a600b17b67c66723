"""The OpenTelemetry SDK of a participant process, for those who have not set it up themselves.

Its spans are written by `otlp`, like our own: nothing more is to be installed, and it takes a tenth of the time that
the generated classes take.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from saga.adapters.telemetry import otlp
from saga.adapters.telemetry.connection import HttpConnection
from saga.core.errors import Unavailable

UNSENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""What is kept while the backend is away; the oldest is dropped first."""
KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}

log = logging.getLogger("saga.telemetry")


def export_live_spans(service: str, url: str, headers: Mapping[str, str]) -> Callable[[], None]:
    """Send the live spans of this process to a backend; returns what flushes and stops it.

    A provider that is set already is somebody's own choice and stays. Raises ValueError for what is no http url.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _nothing
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(LiveExporter(HttpConnection(url, headers))))
    trace.set_tracer_provider(provider)
    return provider.shutdown


class LiveExporter(SpanExporter):
    """Writes the SDK's spans and sends them, from the SDK's own thread. A live span has no history to come again from:
    while the backend is away a bounded number of bytes is kept."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send these, after what could not be sent before."""
        if spans:
            self._keep(request(spans))
        while self._unsent:
            try:
                status, _ = self._connection.post(self._unsent[0])
            except Unavailable:
                return SpanExportResult.FAILURE
            if status >= 300 and status not in {400, 413, 422}:
                return SpanExportResult.FAILURE
            self._unsent_bytes -= len(self._unsent.popleft())
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Hang up."""
        self._connection.close()

    def _keep(self, body: bytes) -> None:
        self._unsent.append(body)
        self._unsent_bytes += len(body)
        while self._unsent_bytes > UNSENT_BYTES_MAX and len(self._unsent) > 1:
            self._unsent_bytes -= len(self._unsent.popleft())
            log.warning("live spans are dropped: the tracing backend is away")


def request(spans: Sequence[ReadableSpan]) -> bytes:
    """One export request, grouped by resource and scope."""
    groups: dict[tuple[Resource, str], list[bytes]] = {}
    for span in spans:
        scope = "" if span.instrumentation_scope is None else span.instrumentation_scope.name
        groups.setdefault((span.resource, scope), []).append(otlp.field(2, _span(span)))
    return b"".join(
        otlp.resource_spans(otlp.attributes(1, resource.attributes), otlp.text(1, scope), found)
        for (resource, scope), found in groups.items()
    )


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.context, span.parent
    assert context is not None
    above = b"" if parent is None else parent.span_id.to_bytes(8, "big")
    return b"".join(
        (
            otlp.head(
                context.trace_id.to_bytes(16, "big"),
                context.span_id.to_bytes(8, "big"),
                above,
                otlp.named(span.name, KINDS[span.kind]),
            ),
            otlp.times(span.start_time or 0, span.end_time or 0),
            otlp.attributes(9, span.attributes or {}),
            *[otlp.event(e.name, e.timestamp, otlp.attributes(3, e.attributes or {})) for e in span.events],
            *[
                otlp.link(
                    link.context.trace_id.to_bytes(16, "big"),
                    link.context.span_id.to_bytes(8, "big"),
                    otlp.attributes(4, link.attributes or {}),
                )
                for link in span.links
            ],
            otlp.status(span.status.status_code.value, span.status.description or ""),
        )
    )


def _nothing() -> None:
    """Whoever set the provider up ends it."""
