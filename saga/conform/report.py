"""What was found about each rule."""

from enum import StrEnum

import msgspec

from saga.conform.rules import Rule
from saga.ports import Delivery

BODY_CHARACTERS_MAX = 500
HEADER_CHARACTERS_MAX = 200


class Verdict(StrEnum):
    """How a rule fared."""

    KEPT = "kept"
    BROKEN = "broken"
    UNTRIED = "untried"


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as a finding shows it."""

    queue: str
    routing_key: str
    type: str = ""
    message_id: str = ""
    correlation_id: str = ""
    user_id: str | None = None
    headers: dict[str, str] = {}
    defects: tuple[str, ...] = ()
    body: str = ""


class Finding(msgspec.Struct, frozen=True):
    """One rule and how it fared."""

    rule: Rule
    verdict: Verdict
    reason: str = ""
    """What was wanted and what came instead; or why it was not tried."""
    received: tuple[Seen, ...] = ()


class Broken(Exception):
    """A participant did not keep a rule."""

    def __init__(self, reason: str, *received: Delivery) -> None:
        super().__init__(reason)
        self.reason = reason
        self.received = received


def seen(delivery: Delivery) -> Seen:
    """The message, cut to what one can look at."""
    return Seen(
        queue=delivery.queue,
        routing_key=delivery.routing_key,
        type=delivery.type,
        message_id=delivery.message_id,
        correlation_id=delivery.correlation_id,
        user_id=delivery.sender,
        headers={name: _cut(value, HEADER_CHARACTERS_MAX) for name, value in sorted(delivery.headers.items())},
        defects=delivery.defects,
        body=_cut(delivery.body.decode(errors="backslashreplace"), BODY_CHARACTERS_MAX),
    )


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[:characters_max] + "…"
