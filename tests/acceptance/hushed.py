"""Sagas with a secret of its own in every place that a person, a caller or a service writes into.

The service is called like the one user of the broker, so its replies are believed.
"""

import asyncio
import logging
import os
from datetime import timedelta
from pathlib import Path

import msgspec
from opentelemetry import trace

from saga import Command, Context, Effect, Failure, InDoubt, Participant, Retry, RetryLater, Saga, command, define
from saga.define import text

SERVICE = "hushed"
MARK = "hush-4111"
"""In every secret: whatever shows it has shown one."""
TRIES = Retry(attempts=3, first=timedelta(milliseconds=100), cap=timedelta(milliseconds=200))
TIMEOUT = timedelta(seconds=20)

log = logging.getLogger("shop.hushed")


OF_ADDRESSES = frozenset({"amqp", "otlp", "otlp-header", "postgres"})
PLACES = OF_ADDRESSES | {
    *("actor", "body", "cancel", "cause", "code", "correlation-id", "decision", "doubt", "edited", "evidence"),
    *("exception", "failure", "header", "input", "key", "later", "message-id", "objection", "reason", "reply"),
    *("signal", "type"),
}


def hush(place: str) -> str:
    """The secret of a place."""
    assert place in PLACES
    return f"{MARK}-{place}"


class Order(msgspec.Struct, frozen=True):
    """What is to become of it: `ok`, `decline`, `late`, `crash`, `stuck`, `doubt`, `objection`."""

    id: str
    how: str = "ok"
    secret: str = hush("input")


class Paid(msgspec.Struct, frozen=True):
    secret: str


class Done(msgspec.Struct, frozen=True):
    id: str
    secret: str = hush("reply")


class Declined(Failure, frozen=True):
    secret: str = hush("failure")


@command(service=SERVICE, effect=Effect.INBOX)
class Reserve(Command[Done, Declined], frozen=True):
    id: str
    how: str
    secret: str


@command(service=SERVICE, effect=Effect.INBOX)
class Release(Command[Done], frozen=True):
    id: str


@command(service=SERVICE, effect=Effect.INBOX)
class Ship(Command[Done, Declined], frozen=True):
    id: str
    how: str
    note: str


@define("hushed", version=1)
def hushed(s: Saga, order: Order) -> Done:
    """A step that can be undone, and the point of no return."""
    s.key(order.id)
    s.tag(secret=order.secret)
    reserve = Reserve(id=order.id, how=order.how, secret=order.secret)
    s.step("reserve", reserve, undo=Release(id=order.id), retry=TRIES, timeout=TIMEOUT)
    shipped = s.pivot("ship", Ship(id=order.id, how=order.how, note=order.secret), timeout=TIMEOUT)
    return Done(id=shipped.id)


@define("asked", version=1)
def asked(s: Saga, order: Order) -> Done:
    """Waits for a signal, then for a person who may change what is sent."""
    s.key(order.id)
    paid = s.signal("paid", Paid, name="paid", within=timedelta(days=1))
    approved = s.approval(
        "review",
        Ship(id=order.id, how="ok", note=paid.secret),
        roles=["editor"],
        summary=text("Ship {}", order.secret),
        edit=lambda ship: ship.note,
    )
    shipped = s.pivot("ship", approved.subject)
    return Done(id=shipped.id)


def objection(cmd: Reserve) -> str | None:
    """What a check objects to."""
    return f"not for {hush('objection')}" if cmd.how == "objection" else None


def mended() -> bool:
    """Whether somebody has removed what stood in the way."""
    return Path(os.environ["TRACED_MENDED"]).exists()


async def work(cmd: Reserve | Ship, ctx: Context) -> Done | Declined:
    """As it is told to; a line and a span of its own."""
    log.info("at work")
    with trace.get_tracer("shop").start_as_current_span("SELECT stock"):
        log.info("looking")
        await asyncio.sleep(0)
    match cmd.how, isinstance(cmd, Reserve):
        case "decline", False:
            return Declined()
        case "late", True if ctx.attempt == 1:
            raise RetryLater(f"the terminal of {hush('later')} is busy", code=f"no word {hush('code')}")
        case "crash", True if ctx.attempt == 1:
            try:
                dict[str, str]()[hush("cause")]
            except KeyError as error:
                raise ValueError(hush("exception")) from error
        case "stuck", True if not mended():
            raise RetryLater(f"nobody at {hush('later')}", code="unavailable")
        case "doubt", True:
            raise InDoubt(f"who knows {hush('doubt')}")
        case _:
            pass
    return Done(id=cmd.id)


async def undo(cmd: Release, _ctx: Context) -> Done:
    """Always."""
    return Done(id=cmd.id)


participant = Participant(
    SERVICE,
    [Reserve.handled_by(work, check=objection), Release.handled_by(undo), Ship.handled_by(work)],
)
