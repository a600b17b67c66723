"""The orders of a run: made from a number and a seed, the same in every process that asks."""

import random
from typing import Any

import msgspec

CANCEL_SECONDS_MAX = 0.6
COUNTRIES = ("NL", "BE", "DE", "FR")
PRODUCTS_COUNT = 50


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of orders, from 0 to 1; what is left over are orders that nothing stands against."""

    sold_out: float = 0.02
    """Refused by inventory: nothing is ever done."""
    declined: float = 0.1
    """Card declined, invoice taken: the other way."""
    prepaid: float = 0.03
    """Card declined and invoice refused: stock is given back."""
    over_limit: float = 0.02
    """More than a card is charged at once: stock is given back."""
    not_served: float = 0.0
    """Refused by the carrier by its address, on top of what the carrier refuses by its settings."""
    twice: float = 0.05
    """Started twice at once."""
    cancelled: float = 0.12
    """Cancelled soon after they are accepted: what is in flight then is undone without being known."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order to start."""

    order_id: str
    body: bytes
    total_cents: int
    unit_count: int
    twice: bool
    cancel_after_seconds: float | None
    """After it is accepted."""


def order_of(run: str, number: int, mix: Mix, seed: int = 0) -> Order:
    """Order `number` of a run."""
    chance = random.Random(f"{seed}/{run}/{number}")
    kind = _kind(mix, chance)
    total_cents = chance.randint(500, 90_000) + (1_000_000 if kind == "over_limit" else 0)
    skus = chance.sample(range(1, PRODUCTS_COUNT + 1), k=chance.randint(1, 3))
    pieces = {f"sku-{sku}": chance.randint(1, 4) for sku in skus} | ({"sold-out": 1} if kind == "sold_out" else {})
    order_id = f"{run}-{number:05d}"
    customer = {"declined": "declined", "prepaid": "declined-prepaid"}.get(kind, "customer")
    body: dict[str, Any] = {
        "order_id": order_id,
        "customer": f"{customer}-{number % 40}",
        "email": f"customer{number}@example.org",
        "address": {
            "name": f"Customer {number}",
            "street": f"Kade {number}",
            "city": "Delft",
            "country": "AQ" if kind == "not_served" else chance.choice(COUNTRIES),
        },
        "lines": [{"sku": sku, "unit_count": count} for sku, count in pieces.items()],
        "total": f"{total_cents // 100}.{total_cents % 100:02d}",
        "gift": chance.random() < 0.1,
    }
    return Order(
        order_id=order_id,
        body=msgspec.json.encode(body),
        total_cents=total_cents,
        unit_count=sum(pieces.values()),
        twice=chance.random() < mix.twice,
        cancel_after_seconds=chance.random() * CANCEL_SECONDS_MAX if chance.random() < mix.cancelled else None,
    )


def _kind(mix: Mix, chance: random.Random) -> str:
    draw = chance.random()
    for kind in ("sold_out", "declined", "prepaid", "over_limit", "not_served"):
        share: float = getattr(mix, kind)
        if draw < share:
            return kind
        draw -= share
    return "plain"
