"""How a carrier treats a request: by its settings, always the same way for the same seed, order and count."""

import hashlib
from enum import StrEnum

import msgspec


class Behaviour(StrEnum):
    """What is done with a booking request."""

    BOOK = "book"
    REFUSE = "refuse"
    """A business answer: the same for every request of an order."""
    UNAVAILABLE = "unavailable"
    """503 before anything is done."""
    DROP_BEFORE = "drop-before"
    """The connection ends without an answer; nothing was booked."""
    DROP_AFTER = "drop-after"
    """The connection ends without an answer; it was booked."""


NOT_SERVED = frozenset({"AQ"})
"""Countries quoted, but refused at booking: Antarctica has no streets."""

Rate = float


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares from 0 to 1, of orders for `refuse_rate` and of requests for the others."""

    refuse_rate: Rate = 0.0
    unavailable_rate: Rate = 0.0
    drop_before_rate: Rate = 0.0
    drop_after_rate: Rate = 0.0
    slow_rate: Rate = 0.0
    slow_seconds: float = 2.0
    """Half of it before the booking is written, half between that and the answer."""
    seed: int = 0
    scripts: dict[str, list[Behaviour]] = {}
    """By order id: what to do with its first, second, … request; after the last one it is booked."""

    def __post_init__(self) -> None:
        for field in ("refuse_rate", "unavailable_rate", "drop_before_rate", "drop_after_rate", "slow_rate"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field}={getattr(self, field)} is no share. Fix: a number from 0 to 1")
        if self.unavailable_rate + self.drop_before_rate + self.drop_after_rate > 1:
            raise ValueError("the rates of unavailable, drop_before and drop_after add up to more than 1")


def behaviour(settings: Settings, *, order_id: str, country: str, request_count: int) -> Behaviour:
    """What to do with the request of an order that follows `request_count` others."""
    script = settings.scripts.get(order_id)
    if script is not None:
        return script[request_count] if request_count < len(script) else Behaviour.BOOK
    draw = _draw(settings.seed, "request", order_id, request_count)
    for outcome, rate in (
        (Behaviour.UNAVAILABLE, settings.unavailable_rate),
        (Behaviour.DROP_BEFORE, settings.drop_before_rate),
    ):
        if draw < rate:
            return outcome
        draw -= rate
    # A refusal is looked at before the last one: a refused order is not booked, so there is nothing to drop after.
    if country in NOT_SERVED or _draw(settings.seed, "refuse", order_id) < settings.refuse_rate:
        return Behaviour.REFUSE
    return Behaviour.DROP_AFTER if draw < settings.drop_after_rate else Behaviour.BOOK


def slowness_seconds(settings: Settings, *, order_id: str, request_count: int) -> float:
    """How long that request takes in all."""
    is_slow = _draw(settings.seed, "slow", order_id, request_count) < settings.slow_rate
    return settings.slow_seconds if is_slow else 0.0


def _draw(*identity: object) -> float:
    """A number in [0, 1) made from an identity: a repeated run draws the same."""
    digest = hashlib.blake2b(repr(identity).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
