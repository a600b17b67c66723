"""A small HTTP server for businesses of the outside world: a thread a request, JSON in and out, no keep-alive."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

BODY_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 30


class Dropped(Exception):
    """The connection is to end without an answer."""


class Answer(msgspec.Struct, frozen=True):
    """Status and JSON body."""

    status: int
    body: dict[str, Any]


class Request(msgspec.Struct, frozen=True):
    """What was asked: `POST /bookings?reference=R` is method, `("bookings",)` and `{"reference": "R"}`."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    body: bytes
    key: str
    """Header `Idempotency-Key`, empty without one."""


Route = Callable[[Request], Answer]
"""Raises Dropped for a caller that is to hear nothing, ValueError for what is answered 400."""


class Desk(BaseHTTPRequestHandler):
    """Reads a request, answers it, and ends the connection."""

    timeout = REQUEST_SECONDS_MAX

    def do_GET(self) -> None:
        """Serve a GET."""
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are the library's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: what happened is in the books."""

    def _serve(self) -> None:
        try:
            answer = cast("Office", self.server).route(self._request())
        except Dropped:
            return  # returning without a word closes the connection
        except (msgspec.DecodeError, ValueError) as error:
            answer = Answer(400, {"reason": str(error)})
        data = msgspec.json.encode(answer.body)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _request(self) -> Request:
        url = urlsplit(self.path)
        size_bytes = int(self.headers.get("Content-Length") or 0)
        if size_bytes > BODY_BYTES_MAX:
            raise ValueError(f"a body of {size_bytes} bytes; at most {BODY_BYTES_MAX}")
        return Request(
            method=self.command,
            path=tuple(part for part in url.path.split("/") if part),
            query={name: values[0] for name, values in parse_qs(url.query).items()},
            body=self.rfile.read(size_bytes),
            key=self.headers.get("Idempotency-Key") or "",
        )


class Office(ThreadingHTTPServer):
    """The HTTP server: a thread a request, all of them ended with the process."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, route: Route) -> None:
        self.route = route
        super().__init__((host, port), Desk)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away is no error here."""


@asynccontextmanager
async def listening(route: Route, host: str) -> AsyncIterator[str]:
    """Serve in this process, on a free port, as long as this lasts; gives the address."""
    office = Office(host, 0, route)
    desk = threading.Thread(target=office.serve_forever, kwargs={"poll_interval": 0.05}, name="office")
    desk.start()
    try:
        yield office.url
    finally:
        await asyncio.to_thread(office.shutdown)
        office.server_close()
        desk.join()


def serve(name: str, route: Route, *, host: str, port: int, books: Path) -> None:
    """Be a process that serves until SIGTERM or SIGINT; says where on its first line."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with Office(host, port, route) as office:
        serving = threading.Thread(target=office.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        print(f"{name} ready on {office.url} books {books}", flush=True)  # noqa: T201 - whoever starts us waits for it
        stopped.wait()
        office.shutdown()
        serving.join()
