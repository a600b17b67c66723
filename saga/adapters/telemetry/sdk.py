"""The OpenTelemetry SDK of a participant process, for those who have not set it up themselves.

Its spans are written by `otlp`, like our own: nothing more is to be installed, and it takes a tenth of the time that
the generated classes take.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from saga.adapters.telemetry import otlp
from saga.adapters.telemetry.connection import HttpConnection
from saga.adapters.telemetry.live import SCOPE
from saga.adapters.telemetry.span import CommandSpan, KeepsCommandSpans
from saga.core.errors import Unavailable

UNSENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""What is kept while the backend is away; the oldest is dropped first."""
WAITING_SPANS_MAX: Final = 8_192
"""Ended spans that wait for the thread that sends them; further ones are dropped."""
BATCH_SPANS_MAX: Final = 512
"""Of one request: encoded in less time than a thread may keep others from running."""
INTERVAL_SECONDS: Final = 2.0
FLUSH_SECONDS_MAX: Final = 15.0
KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}

log = logging.getLogger("saga.telemetry")


def export_live_spans(
    service: str, url: str, headers: Mapping[str, str], monotonic: Callable[[], float]
) -> Callable[[], None]:
    """Send the live spans of this process to a backend; returns what flushes and stops it.

    A provider that is set already is somebody's own choice and stays. Raises ValueError for what is no http url.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _nothing
    provider = LiveProvider(Resource.create({"service.name": service}), HttpConnection(url, headers, monotonic))
    trace.set_tracer_provider(provider)
    return provider.shutdown


class LiveProvider(TracerProvider, KeepsCommandSpans):
    """The SDK for what handlers and their instrumentations trace, and a shorter way for the spans around commands."""

    def __init__(self, resource: Resource, connection: HttpConnection) -> None:
        super().__init__(resource=resource)
        self._sender = Sender(LiveExporter(connection, resource))
        self.add_span_processor(self._sender)

    def keep(self, span: CommandSpan) -> None:
        """See `KeepsCommandSpans`."""
        self._sender.keep(span)


class Sender(SpanProcessor):
    """Spans that have ended wait here for a thread that sends them now and then, or when a request is full."""

    def __init__(self, exporter: "LiveExporter") -> None:
        self._exporter = exporter
        self._waiting: deque[ReadableSpan | CommandSpan] = deque()
        self._full = threading.Event()
        self._flushed = threading.Condition()
        self._stopping = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="otlp spans", daemon=True)
        self._thread.start()

    def keep(self, span: ReadableSpan | CommandSpan) -> None:
        """Take a span that has ended. Never waits."""
        count = len(self._waiting)
        if count >= WAITING_SPANS_MAX or self._stopping:
            self._dropped += 1
            return
        self._waiting.append(span)
        if count == BATCH_SPANS_MAX:
            self._full.set()

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor`."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.keep(span)

    def shutdown(self) -> None:
        """Send what is left, for a bounded time."""
        self._stopping = True
        self._full.set()
        self._thread.join(FLUSH_SECONDS_MAX)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is there; whether that was done in time."""
        self._full.set()
        with self._flushed:
            return self._flushed.wait_for(lambda: not self._waiting, timeout_millis / 1_000)

    def _run(self) -> None:
        while self._waiting or not self._stopping:
            self._full.wait(INTERVAL_SECONDS)
            self._full.clear()
            try:
                self._send()
            except Exception:
                log.exception("spans could not be written")
            with self._flushed:
                self._flushed.notify_all()
        self._exporter.shutdown()

    def _send(self) -> None:
        """Everything that waits; without anything new, what a backend did not take before."""
        while True:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_SPANS_MAX))]
            self._exporter.export(batch)
            if not self._waiting:
                break
        if dropped := self._dropped:
            self._dropped -= dropped
            log.warning("live spans are dropped: the tracing backend is away", extra={"spans": dropped})


class Written(NamedTuple):
    """A span as bytes, and what it stands below in a request."""

    resource: Resource
    scope: str
    data: bytes


class LiveExporter(SpanExporter):
    """Writes spans and sends them. A live span has no history to come again from: while the backend is away a bounded
    number of bytes is kept."""

    def __init__(self, connection: HttpConnection, resource: Resource) -> None:
        """`resource` is that of the spans around commands; each of the SDK's has its own."""
        self._connection = connection
        self._resource = resource
        self._unsent: deque[Sequence[Written]] = deque()
        """What each request is to hold, the oldest first."""
        self._unsent_bytes = 0
        self.rejected = 0
        """Spans the backend called malformed, or too large each by itself."""

    def export(self, spans: Sequence[ReadableSpan | CommandSpan]) -> SpanExportResult:
        """Send these, after what could not be sent before."""
        if spans:
            self._keep([written(span, self._resource) for span in spans])
        while self._unsent:
            batch = self._unsent[0]
            try:
                status, _ = self._connection.post(request(batch))
            except Unavailable:
                return SpanExportResult.FAILURE
            if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(batch) > 1:
                half = len(batch) // 2
                self._unsent[0] = batch[half:]
                self._unsent.appendleft(batch[:half])
                continue
            if status in {400, 413, 422}:
                self.rejected += len(batch)
                about = {"spans": len(batch), "status": status}
                log.error("the backend calls spans malformed; they are dropped", extra=about)
            elif status >= 300:
                return SpanExportResult.FAILURE
            self._drop()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Hang up."""
        self._connection.close()

    def _keep(self, spans: Sequence[Written]) -> None:
        self._unsent.append(spans)
        self._unsent_bytes += _size_bytes(spans)
        while self._unsent_bytes > UNSENT_BYTES_MAX and len(self._unsent) > 1:
            dropped = self._drop()
            log.warning("live spans are dropped: the tracing backend is away", extra={"spans": dropped})

    def _drop(self) -> int:
        """The oldest ones are done with; how many they are."""
        spans = self._unsent.popleft()
        self._unsent_bytes -= _size_bytes(spans)
        return len(spans)


def _size_bytes(spans: Sequence[Written]) -> int:
    return sum(len(span.data) for span in spans)


def written(span: ReadableSpan | CommandSpan, resource: Resource) -> Written:
    """As a request has it. `resource` is that of the spans around commands."""
    if isinstance(span, CommandSpan):
        return Written(resource, SCOPE, span.encoded())
    scope = "" if span.instrumentation_scope is None else span.instrumentation_scope.name
    return Written(span.resource, scope, _span(span))


def request(spans: Iterable[Written]) -> bytes:
    """One export request, grouped by resource and scope."""
    groups: dict[tuple[int, str], tuple[Resource, list[bytes]]] = {}
    for of, scope, data in spans:
        groups.setdefault((id(of), scope), (of, []))[1].append(otlp.field(2, data))
    return b"".join(
        otlp.resource_spans(otlp.attributes(1, of.attributes), otlp.text(1, scope), found)
        for (_, scope), (of, found) in groups.items()
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
