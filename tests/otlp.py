"""An OTLP backend for tests: real protobuf over real HTTP, which keeps what it was sent as spans of ours.

It reads with the classes generated from opentelemetry-proto, so what our writer writes is judged by another hand.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from saga.core.spans import Link, Span, SpanKind

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Received(msgspec.Struct, frozen=True):
    """A span as it arrived."""

    service: str
    kind: str
    span: Span
    """Its kind is `internal` here whatever it was: a foreign span may have one that ours never have."""


class Backend:
    """`POST /v1/traces` on a free port. Set `status` to be away, slow or full."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.delay_seconds = 0.0
        self.requests: list[bytes] = []
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
                status = backend.status if self.path == "/v1/traces" else 404
                if status == 200:
                    backend.requests.append(body)
                    backend.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """A test has its own words."""

        return Handler


def read(body: bytes) -> Iterator[Received]:
    """The spans of one request. Raises DecodeError for what is no OTLP."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        service = str(_attributes(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(service, KINDS[span.kind], _span(span))


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
