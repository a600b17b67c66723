"""What starts an order, and what comes of it."""

from decimal import Decimal
from typing import Annotated

import msgspec

from contracts.inventory import LINES_MAX, Line
from contracts.shipping import Address


class PlaceOrder(msgspec.Struct, frozen=True):
    """Input of the `order` saga; `order_id` is its business key."""

    order_id: str
    customer: str
    email: str
    address: Address
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=LINES_MAX)]
    total: Decimal
    gift: bool = False


class OrderPlaced(msgspec.Struct, frozen=True):
    """Output of the `order` saga."""

    charge_id: str
    """Of the charge, or of the invoice when the card was declined."""
    tracking: str
