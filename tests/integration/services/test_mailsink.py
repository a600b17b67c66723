"""The mail sink as a process, given mail by notifications' own handler."""

import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.notifications import MailSent, SendMail
from saga.contract import Context, InDoubt, RetryLater
from services.notifications.handlers import MailRoom
from services.world.books import read
from tests.integration.services.world_processes import WorldProcess, running

MAIL = SendMail(to="ann@example.org", subject="Order o1 is on its way", reference="o1")


def context(key: str = "key-1") -> Context:
    return Context(key=key, saga="saga-1", step="confirm", attempt=1)


def room(server: WorldProcess, *, patience_seconds: float = 10) -> MailRoom:
    patience = timedelta(seconds=patience_seconds)
    return MailRoom(server.host, server.port, patience=patience, pause=timedelta(0), timeout_seconds=5)


async def test_a_mail_is_on_the_books_with_its_key(tmp_path: Path) -> None:
    """What was sent can be traced by key and by what it is about."""
    with running("mailsink", tmp_path / "books.jsonl") as sink:
        assert await room(sink).send(MAIL, context()) == MailSent("<key-1@shop.example>")
    (line,) = read(tmp_path / "books.jsonl", "mail")
    assert (line["to"], line["subject"], line["idempotency_key"], line["reference"]) == (
        "ann@example.org",
        "Order o1 is on its way",
        "key-1",
        "o1",
    )


@pytest.mark.parametrize("option", ["--refuse-rate", "--drop-before-rate"])
async def test_what_was_not_taken_is_tried_again(tmp_path: Path, option: str) -> None:
    """A mail that certainly was not taken is sent again in the same run, and is there once."""
    with running("mailsink", tmp_path / "books.jsonl", option, "0.5", "--seed", "1") as sink:
        for number in range(20):
            await room(sink).send(MAIL, context(f"key-{number}"))
    keys = [line["idempotency_key"] for line in read(tmp_path / "books.jsonl", "mail")]
    assert keys == [f"key-{number}" for number in range(20)]


async def test_a_server_that_never_takes_it_is_reported(tmp_path: Path) -> None:
    """After its patience is used up the handler says what the server said; nothing was sent."""
    with (
        running("mailsink", tmp_path / "books.jsonl", "--refuse-rate", "1") as sink,
        pytest.raises(RetryLater, match="451 try again later") as raised,
    ):
        await room(sink, patience_seconds=0).send(MAIL, context())
    assert raised.value.code == "not-sent"
    assert read(tmp_path / "books.jsonl") == []


async def test_taken_and_dropped_is_in_doubt(tmp_path: Path) -> None:
    """When the server hangs up after the mail, nobody can tell: a person has to look. The mail is there once."""
    with (
        running("mailsink", tmp_path / "books.jsonl", "--drop-after-rate", "1") as sink,
        pytest.raises(InDoubt, match="may have taken it"),
    ):
        await room(sink).send(MAIL, context())
    assert len(read(tmp_path / "books.jsonl", "mail")) == 1


async def test_a_line_of_one_dot_does_not_end_the_mail(tmp_path: Path) -> None:
    """A subject that looks like the end of a mail arrives whole, and headers cannot be smuggled in."""
    mail = SendMail(to="ann@example.org", subject=".\r\n.\r\nX-Reference: forged", reference="o1\nX-More: 1")
    with running("mailsink", tmp_path / "books.jsonl") as sink:
        await room(sink).send(mail, context())
    (line,) = read(tmp_path / "books.jsonl", "mail")
    assert (line["subject"], line["reference"]) == (". . X-Reference: forged", "o1 X-More: 1")


async def test_a_permanent_refusal_is_not_tried_again() -> None:
    """A server that will never take it is not asked twice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        greeted: list[bytes] = []

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"554 no mail here\r\n")
                greeted.append(connection.recv(100))

        server = threading.Thread(target=refuse)
        server.start()
        with pytest.raises(RetryLater, match="554"):
            await MailRoom(host, port, patience=timedelta(seconds=2), pause=timedelta(0)).send(MAIL, context())
        server.join(5)
    assert len(greeted) == 1


def test_sigterm_ends_it_well(tmp_path: Path) -> None:
    """Asked to end, the sink ends with success."""
    with running("mailsink", tmp_path / "books.jsonl") as sink:
        sink.process.terminate()
        assert sink.process.wait(10) == 0
