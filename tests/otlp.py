"""An OTLP backend for tests: real protobuf over real HTTP, which keeps what it was sent: spans, and metrics.

It reads with the classes generated from opentelemetry-proto, so what our writer writes is judged by another hand.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from saga.core.spans import Link, Span, SpanKind

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Received(msgspec.Struct, frozen=True):
    """A span as it arrived."""

    service: str
    kind: str
    span: Span
    """Its kind is `internal` here whatever it was: a foreign span may have one that ours never have."""


class Value(msgspec.Struct, frozen=True):
    """A data point of a metric as it arrived."""

    service: str
    instance: str
    name: str
    unit: str
    kind: str
    """`sum`, `gauge` or `histogram`; sums and histograms are cumulative, sums only rise."""
    labels: dict[str, str]
    value: float
    """Of a histogram: its sum."""
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    start_ns: int = 0
    at_ns: int = 0


class Backend:
    """`POST /v1/traces` and `/v1/metrics` on a free port. Set `status` to be away, slow or full."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.delay_seconds = 0.0
        self.retry_after = ""
        """Header of what is not taken."""
        self.body_bytes_max = 0
        """Larger requests are answered 413; 0: none."""
        self.turned_away_count = 0
        """Requests that were not taken."""
        self.requests: list[bytes] = []
        self.metric_requests: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """For `SAGA_OTLP`."""
        return f"http://127.0.0.1:{self.port}"

    def received(self) -> list[Received]:
        """Every span of every request that was taken, in order of arrival."""
        return [span for body in list(self.requests) for span in read(body)]

    def spans(self, trace: str | None = None) -> list[Span]:
        """The spans of one trace, or all."""
        return [each.span for each in self.received() if trace in {None, each.span.trace}]

    def values(self, name: str | None = None) -> list[Value]:
        """Every data point of one metric, or of all, in order of arrival."""
        found = [value for body in list(self.metric_requests) for value in read_metrics(body)]
        return [value for value in found if name in {None, value.name}]

    def latest(self, name: str) -> list[Value]:
        """Of one metric: the last value of each process and label set."""
        last = {(each.instance, tuple(sorted(each.labels.items()))): each for each in self.values(name)}
        return list(last.values())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                backend._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if backend.delay_seconds:
                    backend.released.wait(backend.delay_seconds)
                kept = {"/v1/traces": backend.requests, "/v1/metrics": backend.metric_requests}.get(self.path)
                status = 404 if kept is None else backend.status
                if backend.body_bytes_max and len(body) > backend.body_bytes_max:
                    status = 413
                if kept is not None and status == 200:
                    kept.append(body)
                    backend.headers.append({name.lower(): value for name, value in self.headers.items()})
                else:
                    backend.turned_away_count += 1
                self.send_response(status)
                if status != 200 and backend.retry_after:
                    self.send_header("Retry-After", backend.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """A test has its own words."""

        return Handler


class Watch:
    """A monotonic clock that a test turns."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@contextlib.contextmanager
def mute(port: int) -> Iterator[None]:
    """Whoever connects here is let in, and nobody ever reads what they say."""
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield


def read(body: bytes) -> Iterator[Received]:
    """The spans of one request. Raises DecodeError for what is no OTLP."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        service = str(_attributes(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(service, KINDS[span.kind], _span(span))


def read_metrics(body: bytes) -> Iterator[Value]:
    """The data points of one request. Raises DecodeError for what is no OTLP."""
    request = ExportMetricsServiceRequest.FromString(body)
    for resource in request.resource_metrics:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                if kind != "gauge":
                    assert data.aggregation_temporality == 2
                assert kind != "sum" or data.is_monotonic
                for point in data.data_points:
                    histogram = kind == "histogram"
                    assert not histogram or point.count == sum(point.bucket_counts)
                    yield Value(
                        service=str(about["service.name"]),
                        instance=str(about["service.instance.id"]),
                        name=metric.name,
                        unit=metric.unit,
                        kind=kind,
                        labels=_attributes(point.attributes),
                        value=point.sum if histogram else point.as_double,
                        bounds=tuple(point.explicit_bounds) if histogram else (),
                        counts=tuple(point.bucket_counts) if histogram else (),
                        start_ns=point.start_time_unix_nano,
                        at_ns=point.time_unix_nano,
                    )


def _span(span: Any) -> Span:
    attributes = _attributes(span.attributes)
    error = ""
    if span.status.code == 2:
        error = str(attributes.get("error.type", "error"))
    return Span(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=SpanKind.INTERNAL,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=tuple(attributes.items()),
        error=error,
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), str(_attributes(link.attributes).get("saga.link.kind", "")))
            for link in span.links
        ),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
