"""Readiness and metrics over HTTP, for whoever starts and watches processes."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Snapshot = Callable[[], tuple[bool, dict[str, object]]]
"""Whether the process is ready, and what to say about it. Called from another thread: it must only read."""
Page = Callable[[str], tuple[str, bytes]]
"""Content type and body of the metrics, for an `Accept` header. Called from another thread."""
JSON = "application/json"


class HealthServer:
    """Answers `/healthz` (the process runs), `/readyz` (it can work; 503 with what is missing) and `/metrics`."""

    def __init__(self, address: str, snapshot: Snapshot, metrics: Page | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), _handler(snapshot, metrics))
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; a given port 0 is any free one."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen, in a thread of its own: a busy event loop must not look dead."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(snapshot: Snapshot, metrics: Page | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(200, {"status": "running"})
            elif self.path == "/readyz":
                ready, report = snapshot()
                self._answer(200 if ready else 503, report)
            elif self.path.partition("?")[0] == "/metrics" and metrics is not None:
                self._send(200, *metrics(self.headers.get("Accept", "")))
            else:
                self._answer(404, {"error": "there is only /healthz, /readyz and, if turned on, /metrics"})

        def _answer(self, status: int, report: dict[str, object]) -> None:
            self._send(status, JSON, json.dumps(report).encode())

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Probes come every second: they are not worth a line."""

    return Handler
