"""A mail server that delivers to a file, and misbehaves when told to.

Every mail it takes is a line in its append-only books: recipient, subject, text, and the headers that say what the mail
is about. It takes the same mail as often as it is given it.
"""

import argparse
import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import msgspec

from services.world.books import Books

LINE_BYTES_MAX = 1024 * 1024


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


class Refused(Exception):
    """What the server answers instead of doing what it was asked."""


class Dropped(Exception):
    """The connection is to end without an answer."""


class Sink:
    """What the server does with a mail."""

    def __init__(self, books: Books, settings: SinkSettings) -> None:
        self._books = books
        self._settings = settings
        self._chance = random.Random(settings.seed)  # noqa: S311 - faults are no secrets

    def name_recipient(self) -> None:
        """Take a recipient. Raises Dropped: nothing has been sent yet."""
        if self._chance.random() < self._settings.drop_before_rate:
            raise Dropped

    async def take(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Take a mail. Raises Refused when it is not taken, Dropped when it was and nobody is to hear of it."""
        if self._chance.random() < self._settings.refuse_rate:
            raise Refused("451 try again later")
        is_slow = self._chance.random() < self._settings.slow_rate
        pause_seconds = self._settings.slow_seconds / 2 if is_slow else 0.0
        await asyncio.sleep(pause_seconds)
        mail = message_from_bytes(content, policy=default)
        self._books.write(
            "mail",
            to=", ".join(recipients),
            sender=sender,
            subject=str(mail["Subject"]),
            text="\n".join(str(mail.get_content()).splitlines()),
            message_id=str(mail["Message-ID"]),
            idempotency_key=str(mail["X-Idempotency-Key"]),
            reference=str(mail["X-Reference"]),
        )
        await asyncio.sleep(pause_seconds)
        if self._chance.random() < self._settings.drop_after_rate:
            raise Dropped


class Conversation:
    """One connection: the few commands of RFC 5321 that a client needs to hand over a mail."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._sender = ""
        self._recipients: list[str] = []

    async def hold(self) -> None:
        """Answer until the client leaves, or is dropped."""
        answer = "220 mailsink.example"
        while True:
            self._writer.write(f"{answer}\r\n".encode())
            await self._writer.drain()
            line = (await self._reader.readline()).decode(errors="replace").strip()
            if not line or answer.startswith("221"):
                return
            answer = await self._answer(line)

    async def _answer(self, line: str) -> str:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO" | "HELO":
                return "250 mailsink.example"
            case "MAIL":
                self._sender, self._recipients = _address(rest), []
                return "250 OK"
            case "RCPT":
                self._sink.name_recipient()
                self._recipients.append(_address(rest))
                return "250 OK"
            case "DATA":
                return await self._data() if self._recipients else "503 no recipient was named"
            case "RSET" | "NOOP":
                return "250 OK"
            case "QUIT":
                return "221 bye"
            case _:
                return f"502 {verb[:20]} is not known here"

    async def _data(self) -> str:
        self._writer.write(b"354 end with a line of one dot\r\n")
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))  # a line that begins with a dot was sent with one more
        try:
            await self._sink.take(self._sender, self._recipients, b"".join(lines))
        except Refused as refused:
            return str(refused)
        return "250 OK"


def _address(text: str) -> str:
    """What stands between the angle brackets of `FROM:<…>` or `TO:<…>`."""
    return text.partition("<")[2].partition(">")[0]


async def serve(host: str, port: int, sink: Sink) -> asyncio.Server:
    """Listen; port 0 takes a free one."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Conversation(sink, reader, writer).hold()
        except (Dropped, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            writer.transport.abort()
        finally:
            writer.close()

    return await asyncio.start_server(hold, host, port, limit=LINE_BYTES_MAX)


@asynccontextmanager
async def listening(host: str, books: Path) -> AsyncIterator[str]:
    """A well-behaved mail server in this process, on a free port; gives its address."""
    server = await serve(host, 0, Sink(Books(books), SinkSettings()))
    try:
        yield "smtp://{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()


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
