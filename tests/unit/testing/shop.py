"""A small saga for the tests of the kit: hold, pay (or borrow), ship, tell."""

from datetime import timedelta

import msgspec

from saga.contract import Command, Effect, Failure, command
from saga.define import On, Retry, Saga, define, no_undo
from saga.testing import Script


class Done(msgspec.Struct, frozen=True):
    """Any reply."""

    id: str = "d-1"


class Declined(Failure, frozen=True):
    """Any declared refusal."""

    reason: str = ""


@command(service="stock", effect=Effect.INBOX)
class Hold(Command[Done, Declined], frozen=True):
    """Its effect is in the service's own tables."""

    order: str


@command(service="stock", effect=Effect.INBOX)
class Release(Command[Done], frozen=True):
    """Undoes a hold."""

    order: str


@command(service="bank", effect=Effect.PROVIDER_KEY)
class Pay(Command[Done, Declined], frozen=True):
    """Its effect is at a provider that takes our key."""

    order: str
    amount: int


@command(service="bank", effect=Effect.PROVIDER_KEY)
class Repay(Command[Done], frozen=True):
    """Undoes a payment."""

    id: str | None


@command(service="log", effect=Effect.INBOX)
class Note(Command[Done], frozen=True):
    """Nothing undoes it."""

    text: str


@command(service="post", effect=Effect.PROBE)
class Ship(Command[Done, Declined], frozen=True):
    """Its effect is at a provider that can be asked."""

    order: str


@command(service="mail", effect=Effect.AT_MOST_ONCE)
class Tell(Command[Done], frozen=True):
    """Nothing can tell whether it happened."""

    text: str


class Order(msgspec.Struct, frozen=True):
    """Input."""

    id: str
    amount: int


class Ordered(msgspec.Struct, frozen=True):
    """Output."""

    parcel: str


@define("shop", version=2, deadline=timedelta(hours=12))
def shop(s: Saga, order: Order) -> Ordered:
    """Until it is shipped everything can be undone."""
    s.key(order.id)
    s.step("note", Note(text=order.id), undo=no_undo("a log may stay"))
    s.step("hold", Hold(order=order.id), undo=Release(order=order.id), on_exhausted=On.COMPENSATE)
    s.step(
        "pay",
        Pay(order=order.id, amount=order.amount),
        undo=lambda r: Repay(id=r.id),
        unknown=Repay(id=None),
        retry=Retry(attempts=3),
        on_exhausted=On.COMPENSATE,
    )
    parcel = s.pivot("ship", Ship(order=order.id))
    s.retryable("tell", Tell(text=order.id))
    return Ordered(parcel=parcel.id)


ORDER = Order(id="o-1", amount=7)
SUNNY: dict[str, Script] = dict.fromkeys(("note", "hold", "pay", "ship", "tell"), Done())
