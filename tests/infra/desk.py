"""A saga whose input says how it goes, and its participant: every metric an ordinary day has comes out of it.

The service has the name of the only user of the brokers of a run: no other user's answers would be believed.
"""

from datetime import timedelta
from decimal import Decimal

from msgspec import Struct

from saga import Command, Context, Effect, Failure, Participant, Retry, RetryLater, Saga, command, define


class Done(Struct, frozen=True):
    """It is so."""


class Declined(Failure, frozen=True):
    """The bank said no."""


@command(service="guest", effect=Effect.INBOX)
class Hold(Command[Done], frozen=True):
    """Keep a room; a desk that is `closed` never answers."""

    trip: str
    mood: str


@command(service="guest", effect=Effect.INBOX)
class Release(Command[Done], frozen=True):
    """Give it back."""

    trip: str


@command(service="guest", effect=Effect.INBOX)
class Pay(Command[Done, Declined], frozen=True):
    """Take the money; the bank has its price."""

    trip: str
    mood: str


@command(service="guest", effect=Effect.INBOX)
class Confirm(Command[Done], frozen=True):
    """Tell the guest."""

    trip: str


async def hold(cmd: Hold, ctx: Context) -> Done:
    """As the mood is."""
    if cmd.mood == "closed":
        raise RetryLater("the desk is closed", code="unavailable")
    return Done()


async def pay(cmd: Pay, ctx: Context) -> Done | Declined:
    """As the mood is."""
    ctx.add_cost(Decimal("0.30"), "EUR")
    if cmd.mood == "poor":
        return Declined()
    return Done()


async def done(cmd: Release | Confirm, ctx: Context) -> Done:
    """Always."""
    return Done()


desk = Participant(
    "guest",
    handlers=[Hold.handled_by(hold), Release.handled_by(done), Pay.handled_by(pay), Confirm.handled_by(done)],
)


class Trip(Struct, frozen=True):
    """How it goes: `fine`, `poor` (undone), `closed` (parked); a person decides if it is `asked`."""

    id: str
    mood: str
    asked: bool = False


@define("trip", version=1)
def trip(s: Saga, trip: Trip) -> None:
    """Hold, pay, and confirm if an editor agrees."""
    s.key(trip.id)
    twice = Retry(attempts=2, first=timedelta(milliseconds=100))
    s.step("hold", Hold(trip=trip.id, mood=trip.mood), undo=Release(trip=trip.id), retry=twice)
    s.step("pay", Pay(trip=trip.id, mood=trip.mood), undo=Release(trip=trip.id))
    approved = s.approval("review", Confirm(trip=trip.id), roles=["editor"], when=trip.asked)
    s.pivot("confirm", approved.subject)
