"""A saga whose input says what its service does, with secrets in everything that is nobody else's business.

The service is called `guest`, as the one user of the test broker: its replies are believed.
"""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import msgspec
from opentelemetry import trace

from saga import Command, Context, Effect, Failure, InDoubt, Participant, Retry, RetryLater, Saga, command, define

SECRET = "hunter2-4111-1111-1111-1111"
"""In bodies, texts and codes; nowhere else."""
SLOW_SECONDS = 3.5
ATTEMPT = timedelta(seconds=2)
SOON = Retry(first=timedelta(milliseconds=200), cap=timedelta(milliseconds=400))
RETRY = Retry(attempts=3, first=SOON.first, cap=SOON.cap)


class Order(msgspec.Struct, frozen=True):
    """What each step is to do: `ok`, `decline`, `retry`, `slow`, `stuck`, `doubt`."""

    id: str
    secret: str = SECRET
    reserve: str = "ok"
    charge: str = "ok"
    ship: str = "ok"


class Done(msgspec.Struct, frozen=True):
    id: str
    secret: str = SECRET


class Declined(Failure, frozen=True):
    secret: str = SECRET


@command(service="guest", effect=Effect.INBOX)
class Reserve(Command[Done, Declined], frozen=True):
    id: str
    how: str
    secret: str


@command(service="guest", effect=Effect.INBOX)
class Release(Command[Done], frozen=True):
    id: str


@command(service="guest", effect=Effect.INBOX)
class Charge(Command[Done, Declined], frozen=True):
    id: str
    how: str
    secret: str


@command(service="guest", effect=Effect.INBOX)
class Refund(Command[Done], frozen=True):
    id: str


@command(service="guest", effect=Effect.INBOX)
class Ship(Command[Done, Declined], frozen=True):
    id: str
    how: str


def steps(s: Saga, order: Order) -> Done:
    """Two steps that can be undone, and the point of no return."""
    s.key(order.id)
    s.tag(secret=order.secret)
    reserve = Reserve(id=order.id, how=order.reserve, secret=order.secret)
    s.step("reserve", reserve, undo=Release(id=order.id), retry=RETRY, timeout=ATTEMPT)
    charge = Charge(id=order.id, how=order.charge, secret=order.secret)
    s.step("charge", charge, undo=Refund(id=order.id), retry=RETRY, timeout=ATTEMPT)
    shipped = s.pivot("ship", Ship(id=order.id, how=order.ship), retry=SOON, timeout=ATTEMPT)
    return Done(id=shipped.id)


@define("traced", version=1)
def traced(s: Saga, order: Order) -> Done:
    """Sampled."""
    return steps(s, order)


@define("quiet", version=1)
def quiet(s: Saga, order: Order) -> Done:
    """Not sampled, by the setting of the test."""
    return steps(s, order)


def mended() -> bool:
    """Whether somebody has removed what stood in the way."""
    return Path(os.environ["TRACED_MENDED"]).exists()


async def work(cmd: Reserve | Charge | Ship, ctx: Context) -> Done | Declined:
    """As it is told to, with a span of its own."""
    with trace.get_tracer("shop").start_as_current_span("SELECT stock"):
        await asyncio.sleep(0)
    match cmd.how:
        case "decline":
            return Declined()
        case "retry" if ctx.attempt < 3:
            raise RetryLater(f"the terminal of {SECRET} is busy", code="busy terminal")
        case "slow" if ctx.attempt == 1:
            await asyncio.sleep(SLOW_SECONDS)
        case "stuck" if not mended():
            raise RetryLater(f"nobody at {SECRET}", code="unavailable")
        case "doubt":
            raise InDoubt(f"who knows {SECRET}")
        case "crash" if ctx.attempt == 1:
            raise ValueError(SECRET)
        case _:
            pass
    return Done(id=cmd.id)


async def undo(cmd: Release | Refund, _ctx: Context) -> Done:
    """Always."""
    with trace.get_tracer("shop").start_as_current_span("UPDATE stock"):
        return Done(id=cmd.id)


participant = Participant(
    "guest",
    [
        Reserve.handled_by(work),
        Charge.handled_by(work),
        Ship.handled_by(work),
        Release.handled_by(undo),
        Refund.handled_by(undo),
    ],
)
