"""A new customer and their account, with every verb that waits, asks, branches or nests: no checker may complain."""

from datetime import datetime, timedelta
from typing import assert_type

import msgspec

from saga import Command, Effect, Failure, On, Saga, coalesce, command, define, no_undo, text
from saga.define import Approved, Escalate


class Seat(msgspec.Struct, frozen=True):
    """One colleague of the customer."""

    email: str
    admin: bool = False


class NewCustomer(msgspec.Struct, frozen=True):
    """What starts the saga."""

    name: str
    contact: str
    region: str
    seats: list[Seat]
    starts_at: datetime
    trial: timedelta
    large: bool = False


class Welcomed(msgspec.Struct, frozen=True):
    """What it gives back."""

    url: str
    licences: list[str]
    approved_by: str
    paid: str | None = None


class Done(msgspec.Struct, frozen=True):
    """A reply that says nothing more."""


class Created(msgspec.Struct, frozen=True):
    """Something has an id now."""

    id: str


class Drafted(msgspec.Struct, frozen=True):
    """A text, and whether its writer is content."""

    body: str
    good: bool


class Found(msgspec.Struct, frozen=True):
    """A region has room."""

    host: str


class NoRoom(Failure, frozen=True):
    """It has not."""


class PaymentArrived(msgspec.Struct, frozen=True):
    """What the bank signals."""

    customer: str
    ref: str


@command(service="accounts", effect=Effect.INBOX)
class OpenAccount(Command[Created], frozen=True):
    """The account."""

    name: str


@command(service="accounts", effect=Effect.INBOX)
class CloseAccount(Command[Done], frozen=True):
    """Undoes it."""

    name: str


@command(service="hosting", effect=Effect.PROVIDER_KEY)
class Provision(Command[Found, NoRoom], frozen=True):
    """Machines."""

    region: str


@command(service="hosting", effect=Effect.PROVIDER_KEY)
class Release(Command[Done], frozen=True):
    """Undoes it."""

    region: str


@command(service="accounts", effect=Effect.INBOX)
class AddSeat(Command[Created, NoRoom], frozen=True):
    """A licence."""

    email: str


@command(service="accounts", effect=Effect.INBOX)
class RemoveSeat(Command[Done], frozen=True):
    """Undoes it."""

    email: str


@command(service="writer", effect=Effect.READ_ONLY)
class Draft(Command[Drafted], frozen=True):
    """Writes the welcome."""

    name: str


@command(service="mail", effect=Effect.AT_MOST_ONCE)
class SendMail(Command[Created], frozen=True, rename="camel"):
    """The welcome."""

    send_to: str
    subject: str
    body: str


class Hire(msgspec.Struct, frozen=True):
    """What the child starts with."""

    name: str


class AccountReady(msgspec.Struct, frozen=True):
    """What it gives back."""

    account: str


@define("account", version=2)
def account(s: Saga, hire: Hire) -> AccountReady:
    """A saga that is one step of another."""
    opened = s.step("open", OpenAccount(name=hire.name), undo=CloseAccount(name=hire.name))
    return AccountReady(account=opened.id)


def set_up(s: Saga, new: NewCustomer) -> tuple[str, list[str]]:
    """Machines and licences side by side; a definition may be written in several functions."""
    with s.within("setup", timedelta(hours=8)), s.parallel("both", on_failed=On.FINISH) as branch:
        with branch("machines"), s.parallel("region", join=On.ANY) as place:
            with place("near"):
                near = s.step("provision-near", Provision(region=new.region), undo=Release(region=new.region))
            with place("far"):
                far = s.step("provision-far", Provision(region="eu"), undo=Release(region="eu"))
        with branch("seats-branch"), s.each("seats", new.seats, limit=200, key=lambda seat: seat.email) as seat:
            assert_type(seat, Seat)
            added = s.step("add", AddSeat(email=seat.email), undo=RemoveSeat(email=seat.email))
    licences = s.collect(added.id)
    assert_type(licences, list[str])
    return coalesce(near.host, far.host), licences


@define("onboarding", version=1, deadline=timedelta(days=30))
def onboarding(s: Saga, new: NewCustomer) -> Welcomed:
    """Account, machines, licences, a letter that somebody approves, payment, welcome."""
    ready = s.child("access", account, Hire(name=new.name), undo=On.CANCEL)
    assert_type(ready, AccountReady)
    url, licences = set_up(s, new)
    with s.repeat("writing", limit=5, pause=timedelta(minutes=1)) as turn:
        draft = s.read("draft", Draft(name=new.name))
        turn.until(draft.good)
    s.sleep("cool-off", new.trial)
    s.sleep_until("start", new.starts_at)
    paid = s.signal(
        "payment",
        PaymentArrived,
        name="paid",
        where=lambda p: p.customer == new.name,
        within=timedelta(days=3),
        on_late=On.CONTINUE,
    )
    assert_type(paid, PaymentArrived)
    s.gate("large", showing=new, roles=["sales"], when=new.large, expires=timedelta(days=1), on_expiry=On.COMPENSATE)
    mail = s.approval(
        "review",
        SendMail(send_to=new.contact, subject="Welcome", body=draft.body),
        roles=["editor"],
        quorum=2,
        exclude_requester=True,
        summary=text("Welcome to {}", new.name),
        expires=timedelta(days=2),
        on_expiry=Escalate(to=["head"]),
        remind=timedelta(hours=12),
        edit=lambda m: (m.send_to, m.body),
    )
    assert_type(mail, Approved[SendMail])
    sent = s.pivot("send", mail.subject)
    assert_type(sent, Created)
    s.retryable_child("archive", account, Hire(name=ready.account))
    return Welcomed(
        url=url,
        licences=licences,
        approved_by=mail.approver,
        paid=coalesce(paid.ref, None),
    )


@define("group", version=1)
def group(s: Saga, new: NewCustomer) -> None:
    """A child that passes its own point of no return is that of its parent; a detached one stays."""
    s.child("access", account, Hire(name=new.name), undo=no_undo("accounts are free"))
    s.pivot_child("onboard", onboarding, new)
