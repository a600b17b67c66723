"""What the participant of the benchmark answers."""

import msgspec

from saga.contract import Command, Effect, command

SERVICE = "bench"


class PlaceOrder(msgspec.Struct, frozen=True):
    """Input of the saga; `order_id` is its business key."""

    order_id: str
    amount_cents: int


class OrderPlaced(msgspec.Struct, frozen=True):
    """Output of the saga."""

    reference: str


class Done(msgspec.Struct, frozen=True):
    """The row was written."""

    reference: str


class Undone(msgspec.Struct, frozen=True):
    """The row was removed."""


@command(service=SERVICE, effect=Effect.INBOX)
class Reserve(Command[Done], frozen=True):
    """First step."""

    order_id: str
    amount_cents: int


@command(service=SERVICE, effect=Effect.INBOX)
class Release(Command[Undone], frozen=True):
    """Undo of the first step."""

    order_id: str


@command(service=SERVICE, effect=Effect.INBOX)
class Charge(Command[Done], frozen=True):
    """Second step."""

    order_id: str
    amount_cents: int


@command(service=SERVICE, effect=Effect.INBOX)
class Refund(Command[Undone], frozen=True):
    """Undo of the second step."""

    order_id: str


@command(service=SERVICE, effect=Effect.INBOX)
class Book(Command[Done], frozen=True):
    """Third step: the pivot."""

    order_id: str
    amount_cents: int


@command(service=SERVICE, effect=Effect.INBOX)
class Confirm(Command[Done], frozen=True):
    """Fourth step."""

    order_id: str
    amount_cents: int
