"""What shipping answers: which carrier takes a parcel, and booking it."""

import msgspec

from saga.contract import Command, Effect, Failure, command


class Address(msgspec.Struct, frozen=True):
    """Where a parcel goes."""

    name: str
    street: str
    city: str
    country: str
    """Two letters, ISO 3166-1."""


class CourierQuoted(msgspec.Struct, frozen=True):
    """The carrier that would take it, and for how much."""

    carrier: str
    price_cents: int


@command(service="shipping", effect=Effect.READ_ONLY)
class QuoteCourier(Command[CourierQuoted], frozen=True):
    """Ask which carrier serves an address."""

    address: Address


class CourierBooked(msgspec.Struct, frozen=True):
    """The carrier comes for the parcel."""

    tracking: str


class CourierRefused(Failure, frozen=True):
    """The carrier does not take this parcel."""

    reason: str


@command(service="shipping", effect=Effect.PROBE)
class BookCourier(Command[CourierBooked, CourierRefused], frozen=True):
    """Have a carrier fetch the parcel of an order."""

    order_id: str
    carrier: str
    address: Address
    gift: bool = False
