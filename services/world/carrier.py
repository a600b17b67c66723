"""A carrier: a small HTTP server that books parcels, and does it badly when told to.

    POST   /quotes    {"country"}                          200 {"carrier", "price_cents"}
    POST   /bookings  {"reference", "order_id", "country"} 201 {"tracking"} · 409 {"reason"} · 503 · no answer
    GET    /bookings?reference=R                           200 {"bookings": [...]}   after what R is busy with
    DELETE /bookings/TRACKING                              200, or 404
    GET    /settings · PUT /settings {...}                 how it behaves; kept over a restart
    GET    /books                                          200 {"lines": [...]}      everything that ever happened

It does not recognise a repeat: two requests with one reference are two bookings, which is why shipping has to ask.
"""

import argparse
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from services.world.behaviour import Settings
from services.world.bookings import CARRIER, PRICE_CENTS, Answer, Booking, Carrier, Dropped
from services.world.books import Books

BODY_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 30


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
            answer = self._route()
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

    def _route(self) -> Answer:
        carrier = cast("Office", self.server).carrier
        url = urlsplit(self.path)
        match self.command, [part for part in url.path.split("/") if part]:
            case "POST", ["quotes"]:
                return Answer(200, {"carrier": CARRIER, "price_cents": PRICE_CENTS})
            case "POST", ["bookings"]:
                return carrier.book(msgspec.json.decode(self._body(), type=Booking))
            case "GET", ["bookings"]:
                return carrier.find(parse_qs(url.query).get("reference", [""])[0])
            case "DELETE", ["bookings", tracking]:
                return carrier.cancel(tracking)
            case "GET", ["settings"]:
                return Answer(200, msgspec.to_builtins(carrier.settings))
            case "PUT", ["settings"]:
                return carrier.change(msgspec.json.decode(self._body(), type=Settings))
            case "GET", ["books"]:
                return carrier.everything()
            case _:
                return Answer(404, {"reason": f"no {self.command} {url.path} here"})

    def _body(self) -> bytes:
        size_bytes = int(self.headers.get("Content-Length") or 0)
        if size_bytes > BODY_BYTES_MAX:
            raise ValueError(f"a body of {size_bytes} bytes; at most {BODY_BYTES_MAX}")
        return self.rfile.read(size_bytes)


class Office(ThreadingHTTPServer):
    """The HTTP server: a thread a request, all of them ended with the process."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, carrier: Carrier) -> None:
        self.carrier = carrier
        super().__init__((host, port), Desk)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away is no error here."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    given = _parser().parse_args(arguments)
    rates = {name: value for name, value in vars(given).items() if name in Settings.__struct_fields__}
    try:
        settings = Settings(**rates)
    except ValueError as error:
        raise SystemExit(f"carrier: {error}") from None
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    books = Books(given.books)
    with Office(given.host, given.port, Carrier(books, settings)) as office:
        serving = threading.Thread(target=office.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        print(f"carrier ready on {office.url} books {given.books}", flush=True)  # noqa: T201 - whoever starts us waits for it
        stopped.wait()
        office.shutdown()
        serving.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.world.carrier", description="A carrier that can misbehave."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one (default: 8081)")
    parser.add_argument("--books", type=Path, required=True, help="append-only JSON lines; made if missing")
    shares = parser.add_argument_group(
        "behaviour", "Shares from 0 to 1. Settings put over HTTP are kept in the books and win over these."
    )
    shares.add_argument("--refuse-rate", type=float, default=0.0, help="orders refused at booking")
    shares.add_argument("--unavailable-rate", type=float, default=0.0, help="requests answered 503")
    shares.add_argument("--drop-before-rate", type=float, default=0.0, help="requests dropped, nothing booked")
    shares.add_argument("--drop-after-rate", type=float, default=0.0, help="requests booked, then dropped")
    shares.add_argument("--slow-rate", type=float, default=0.0, help="requests that take --slow-seconds")
    shares.add_argument("--slow-seconds", type=float, default=2.0)
    shares.add_argument("--seed", type=int, default=0, help="the same seed treats the same orders the same")
    return parser


if __name__ == "__main__":
    main()
