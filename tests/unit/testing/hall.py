"""A saga with everything that has more than one step of a kind: branches, items, turns, waits, people, a sub-saga."""

from datetime import timedelta

import msgspec

from saga.contract import Command, Effect, command
from saga.define import Escalate, On, Saga, define, no_undo
from saga.testing import Script
from tests.unit.testing.shop import Done, Hold, Order, Ordered, Pay, Release, Repay, Ship


class Paid(msgspec.Struct, frozen=True):
    """A signal."""

    by: str


class Drafted(msgspec.Struct, frozen=True):
    """A draft, and whether it will do."""

    text: str
    good: bool


class Sent(msgspec.Struct, frozen=True):
    """A reply."""

    id: str


@command(service="desk", effect=Effect.READ_ONLY)
class Draft(Command[Drafted], frozen=True):
    """Writes a letter."""

    party: str


@command(service="mail", effect=Effect.AT_MOST_ONCE)
class Invite(Command[Sent], frozen=True):
    """What people approve before."""

    to: str = msgspec.field(name="sendTo")
    body: str


class Party(msgspec.Struct, frozen=True):
    """Input."""

    id: str
    seats: list[str]


class Held(msgspec.Struct, frozen=True):
    """Output."""

    places: list[str]
    paid_by: str
    approved_by: str


@define("hire", version=1)
def hire(s: Saga, order: Order) -> Ordered:
    """The sub-saga: two steps, both undone."""
    s.step("hold", Hold(order=order.id), undo=Release(order=order.id))
    paid = s.step(
        "pay", Pay(order=order.id, amount=order.amount), undo=lambda r: Repay(id=r.id), unknown=Repay(id=None)
    )
    return Ordered(parcel=paid.id)


@define("hall", version=1, deadline=timedelta(days=30))
def hall(s: Saga, party: Party) -> Held:
    """Branches with items and a sub-saga, turns, a nap, a signal, and an invitation that people approve."""
    with s.parallel("both") as branch:
        with branch("band"):
            s.child("hire", hire, Order(id=party.id, amount=7), undo=On.CANCEL)
        with branch("room"), s.each("seats", party.seats, limit=5) as seat:
            place = s.step("add", Hold(order=seat), undo=Release(order=seat), on_exhausted=On.COMPENSATE)
    with s.repeat("writing", limit=3, pause=timedelta(hours=1)) as turn:
        letter = s.read("draft", Draft(party=party.id))
        turn.until(letter.good)
    s.sleep("nap", timedelta(days=1))
    paid = s.signal("payment", Paid, name="paid", within=timedelta(days=5))
    review = s.approval(
        "review",
        Invite(to=party.id, body=letter.text),
        roles=["editor"],
        expires=timedelta(days=4),
        on_expiry=Escalate(to=["head"]),
        edit=lambda mail: (mail.body,),
    )
    s.step("log", Ship(order=party.id), undo=no_undo("a log may stay"))
    s.pivot("send", review.subject)
    return Held(places=s.collect(place.id), paid_by=paid.by, approved_by=review.approver)


PARTY = Party(id="p-1", seats=["a", "b", "c"])
FINE = Drafted(text="come", good=True)
SUNNY: dict[str, Script] = {
    "hire": Ordered(parcel="d-1"),
    "seats/add": Done(id="s"),
    "writing/draft": FINE,
    "log": Done(),
    "send": Sent(id="m-1"),
}
