"""A participant that could not work is refused where it is written, with the reason and the fix."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.contract import Command, Context, Effect, Handler, command
from saga.participant import Participant, participant_of
from saga.participant.declaration import HANDLER_TIMEOUT_MAX


class Pong(msgspec.Struct, frozen=True):
    """A reply."""


@command(service="table", effect=Effect.READ_ONLY)
class Ping(Command[Pong], frozen=True):
    """A command that changes nothing."""


@command(service="table", effect=Effect.INBOX)
class Serve(Command[Pong], frozen=True):
    """A command with an effect."""


async def ping(_cmd: Ping, _ctx: Context) -> Pong:
    """Answer."""
    return Pong()


async def serve(_cmd: Serve, _ctx: Context) -> Pong:
    """Answer."""
    return Pong()


def plain(_cmd: Ping, _ctx: Context) -> Pong:
    """Not awaitable."""
    return Pong()


async def lonely(_cmd: Ping) -> Pong:
    """Takes no context."""
    return Pong()


def handler(run: Any, **more: Any) -> Handler:
    """A handler of Ping, past the type checker."""
    return Handler(command=Ping, run=run, probe=None, check=more.get("check"))


async def slow_check(_cmd: Ping) -> None:
    """A check must not wait."""


class Plain:
    """Callable, and not awaitable."""

    def __call__(self, _cmd: Ping, _ctx: Context) -> Pong:
        return Pong()


class Courteous:
    """Callable, and awaitable."""

    async def __call__(self, cmd: Ping, ctx: Context) -> Pong:
        return await ping(cmd, ctx)


class Foreign:
    """A database whose SQL nobody here speaks."""

    dialect = "mysql"

    def begin(self) -> None:
        """Never called."""


def with_database(database: Any) -> Participant:
    """A participant with a database of its own, past the type checker."""
    return Participant("table", [handler(ping)], database=database)


@pytest.mark.parametrize(
    ("make", "reason", "fix"),
    [
        (lambda: Participant("table", []), "no handlers", "handled_by"),
        (lambda: Participant("ta.ble", [handler(ping)]), "does not fit a routing key", "letters, digits"),
        (lambda: Participant("tüble", [handler(ping)]), "does not fit a routing key", "letters, digits"),
        (lambda: Participant("chair", [handler(ping)]), "belongs to the service 'table'", "Participant('table'"),
        (lambda: Participant("table", [handler(ping), handler(ping)]), "two handlers", "remove one"),
        (lambda: Participant("table", [ping]), "is no handler", "handled_by"),  # type: ignore[list-item]  # the mistake
        (lambda: Participant("table", [handler(plain)]), "no async function", "async def plain"),
        (lambda: Participant("table", [handler(None)]), "is None", "async def handle(cmd, ctx)"),
        (lambda: Participant("table", [handler(partial(plain))]), "no async function", "async def plain"),
        (lambda: Participant("table", [handler(Plain())]), "no async function", "async def __call__"),
        (lambda: Participant("table", [handler(partial(Plain()))]), "no async function", "async def __call__"),
        (lambda: Participant("table", [handler(Courteous)]), "no async function", "async def"),
        (lambda: with_database("postgres://x"), "a str is no database", "saga serve --database"),
        (lambda: with_database(Foreign), "a type is no database", "saga serve --database"),
        (lambda: with_database(Foreign()), "'mysql'", "postgres or sqlite"),
        (lambda: Participant("table", [handler(lonely)]), "cannot be called", "async def handle(cmd, ctx)"),
        (lambda: Participant("table", [handler(ping, check=slow_check)]), "is async", "plain function"),
        (lambda: Participant("table", [handler(ping)], concurrency=0), "runs nothing", "1 or more"),
        (lambda: Participant("table", [handler(ping)], commands_per_transaction=0), "=0", "1 to 64"),
        (lambda: Participant("table", [handler(ping)], commands_per_transaction=65), "=65", "1 to 64"),
        (lambda: Participant("table", [handler(ping)], lease=timedelta(0)), "ends before", "1 second"),
        (
            lambda: Participant("table", [handler(ping)], handler_timeout=timedelta(hours=1)),
            "handler_timeout",
            "waits for a signal",
        ),
        (lambda: Participant("table", [handler(ping)], migrations=Path("/nowhere")), "no folder", "NNNN_name.sql"),
        (lambda: participant_of("table"), "not a Participant", "without arguments"),
        (lambda: participant_of(lambda: 7), "not a Participant", "without arguments"),
    ],
)
def test_a_mistake_is_refused_with_its_fix(make: Any, reason: str, fix: str) -> None:
    """TypeError names the place, the reason and the fix."""
    with pytest.raises(TypeError) as caught:
        make()
    assert reason in str(caught.value)
    assert "Fix: " in str(caught.value)
    assert fix in str(caught.value)


def test_handlers_are_found_by_their_type_on_the_wire() -> None:
    """Methods and partial functions are handlers as well."""

    class Desk:
        async def ping(self, cmd: Ping, ctx: Context) -> Pong:
            return await ping(cmd, ctx)

    for run in (ping, Desk().ping, partial(ping), Courteous(), partial(Courteous())):
        participant = Participant("table", [handler(run)])
        assert list(participant.handlers) == ["table.Ping.v1"]
        assert participant.queue == "saga.commands.table"


def test_only_reads_need_no_database() -> None:
    """Every other effect is remembered in one."""
    assert not Participant("table", [Ping.handled_by(ping)]).needs_database()
    assert Participant("table", [Ping.handled_by(ping), Serve.handled_by(serve)]).needs_database()


def test_a_handler_has_a_quarter_of_an_hour() -> None:
    """And not a second more: RabbitMQ takes a delivery back that is held too long."""
    longest = Participant("table", [handler(ping)], handler_timeout=HANDLER_TIMEOUT_MAX)
    assert longest.handler_timeout == HANDLER_TIMEOUT_MAX
    with pytest.raises(TypeError, match="handler_timeout"):
        Participant("table", [handler(ping)], handler_timeout=HANDLER_TIMEOUT_MAX + timedelta(seconds=1))


def test_a_participant_may_be_made_late() -> None:
    """`saga serve` takes the value or a function that makes it."""
    participant = Participant("table", [Ping.handled_by(ping)])
    assert participant_of(participant) is participant
    assert participant_of(lambda: participant) is participant
