"""A mail server that delivers to a file, and misbehaves when told to.

Every mail it takes is a line in its append-only books: recipient, subject, and the headers that say what the mail is
about. It takes the same mail as often as it is given it.
"""

import argparse
import asyncio
import random
import signal
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import cast

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.world.books import Books


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of mails, from 0 to 1."""

    refuse_rate: float = 0.0
    """Answered 451: try again later."""
    drop_before_rate: float = 0.0
    """The connection ends after the recipient is named, before the mail is sent."""
    drop_after_rate: float = 0.0
    """The mail is taken and the connection ends without an answer: whoever sent it cannot tell."""
    slow_rate: float = 0.0
    slow_seconds: float = 2.0
    """Half of it before the mail is written down, half after."""
    seed: int | None = None

    def __post_init__(self) -> None:
        for field in ("refuse_rate", "drop_before_rate", "drop_after_rate", "slow_rate"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field}={getattr(self, field)} is no share. Fix: a number from 0 to 1")


class Sink:
    """What the server does with a mail; the method names are the library's."""

    def __init__(self, books: Books, settings: SinkSettings) -> None:
        self._books = books
        self._settings = settings
        self._chance = random.Random(settings.seed)  # noqa: S311 - faults are no secrets

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or end the connection: nothing has been sent yet."""
        if self._chance.random() < self._settings.drop_before_rate:
            _hang_up(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        if self._chance.random() < self._settings.refuse_rate:
            return "451 try again later"
        is_slow = self._chance.random() < self._settings.slow_rate
        pause_seconds = self._settings.slow_seconds / 2 if is_slow else 0.0
        await asyncio.sleep(pause_seconds)
        mail = message_from_bytes(cast("bytes", envelope.content), policy=default)  # str only with decode_data
        self._books.write(
            "mail",
            to=", ".join(envelope.rcpt_tos),
            sender=envelope.mail_from,
            subject=str(mail["Subject"]),
            message_id=str(mail["Message-ID"]),
            idempotency_key=str(mail["X-Idempotency-Key"]),
            reference=str(mail["X-Reference"]),
        )
        await asyncio.sleep(pause_seconds)
        if self._chance.random() < self._settings.drop_after_rate:
            _hang_up(server)
        return "250 OK"


def _hang_up(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


async def serve(host: str, port: int, sink: Sink) -> asyncio.Server:
    """Listen; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(sink, hostname="mailsink.example", enable_SMTPUTF8=True), host, port)


async def _run(given: argparse.Namespace, settings: SinkSettings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await serve(given.host, given.port, Sink(Books(given.books), settings))
    host, port = server.sockets[0].getsockname()[:2]
    print(f"mailsink ready on smtp://{host}:{port} books {given.books}", flush=True)  # noqa: T201 - whoever starts us waits for it
    await stopped.wait()
    server.close()


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    given = _parser().parse_args(arguments)
    rates = {name: value for name, value in vars(given).items() if name in SinkSettings.__struct_fields__}
    try:
        settings = SinkSettings(**rates)
    except ValueError as error:
        raise SystemExit(f"mailsink: {error}") from None
    asyncio.run(_run(given, settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.world.mailsink", description="A mail server that delivers to a file."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8025, help="0 takes a free one (default: 8025)")
    parser.add_argument("--books", type=Path, required=True, help="append-only JSON lines; made if missing")
    shares = parser.add_argument_group("behaviour", "Shares from 0 to 1.")
    shares.add_argument("--refuse-rate", type=float, default=0.0, help="mails answered 451, not taken")
    shares.add_argument("--drop-before-rate", type=float, default=0.0, help="connections dropped before the mail")
    shares.add_argument("--drop-after-rate", type=float, default=0.0, help="mails taken, then dropped: a real doubt")
    shares.add_argument("--slow-rate", type=float, default=0.0, help="mails that take --slow-seconds")
    shares.add_argument("--slow-seconds", type=float, default=2.0)
    shares.add_argument("--seed", type=int, default=None)
    return parser


if __name__ == "__main__":
    main()
