"""What inventory answers: taking stock for an order, and giving it back."""

from typing import Annotated

import msgspec

from saga.contract import Command, Effect, Failure, command

LINES_MAX = 100


class Line(msgspec.Struct, frozen=True):
    """So many pieces of one product."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    unit_count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class StockReserved(msgspec.Struct, frozen=True):
    """Every line is held for the order."""

    unit_count: int


class OutOfStock(Failure, frozen=True):
    """One product falls short; nothing of the order is held. A product nobody stocks has 0 available."""

    sku: str
    available_count: int


@command(service="inventory", effect=Effect.INBOX)
class ReserveStock(Command[StockReserved, OutOfStock], frozen=True):
    """Hold all lines for an order, or none."""

    order_id: str
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=LINES_MAX)]


class StockReleased(msgspec.Struct, frozen=True):
    """What was held for the order is available again."""

    unit_count: int


@command(service="inventory", effect=Effect.INBOX)
class ReleaseStock(Command[StockReleased], frozen=True):
    """Give back everything held for an order."""

    order_id: str
