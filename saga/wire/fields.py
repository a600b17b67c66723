"""Reading one field of a delivery: present, of its form, within its limit, or a ProtocolViolation that names it."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec

from saga import cost as costs
from saga.core.errors import ProtocolViolation
from saga.ports import Delivery
from saga.wire.names import COST, TRACEPARENT, TRACESTATE
from saga.wire.screen import KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, Poison, cut_text

E = TypeVar("E", bound=StrEnum)

SHOWN_CHARACTERS_MAX = 80
NUMBER_DIGITS_MAX = 9
TRACESTATE_CHARACTERS_MAX = 512

_SAGA_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_IDEMPOTENCY_KEY = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_COMMAND_TYPE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})\.v([1-9][0-9]{0,3})")
_INSTANT = Annotated[datetime, msgspec.Meta(tz=True)]


def shown(value: str) -> str:
    """A foreign value as an error may quote it."""
    return repr(value if len(value) <= SHOWN_CHARACTERS_MAX else value[:SHOWN_CHARACTERS_MAX] + "…")


def bad(name: str, value: str, wanted: str) -> ProtocolViolation:
    """The violation for a field whose value has the wrong form."""
    return ProtocolViolation(Poison.BAD_HEADER, f"{name} is {shown(value)}, wanted {wanted}")


def present(name: str, value: str | None) -> str:
    """The value, which must be there."""
    if not value:
        raise ProtocolViolation(Poison.MISSING_HEADER, f"{name} is missing")
    return value


def limited(name: str, value: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """The value, not longer than allowed."""
    if len(value) > characters_max:
        raise bad(name, value, f"at most {characters_max} characters")
    return value


def text(delivery: Delivery, name: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """A header that must be there."""
    return limited(name, present(name, delivery.headers.get(name)), characters_max)


def optional_text(delivery: Delivery, name: str, characters_max: int = NAME_CHARACTERS_MAX) -> str | None:
    """A header that may be missing; empty counts as missing."""
    value = delivery.headers.get(name)
    return limited(name, value, characters_max) if value else None


def number(delivery: Delivery, name: str) -> int:
    """A header that holds a count from 1."""
    value = present(name, delivery.headers.get(name))
    result = _digits(name, value)
    if result < 1:
        raise bad(name, value, "a number from 1")
    return result


def choice(name: str, value: str | None, kind: type[E]) -> E:
    """A header that holds one of a closed list of words."""
    word = present(name, value)
    try:
        return kind(word)
    except ValueError:
        raise bad(name, word, "one of " + ", ".join(kind)) from None


def milliseconds(delivery: Delivery, name: str) -> timedelta | None:
    """An optional duration."""
    value = delivery.headers.get(name)
    return timedelta(milliseconds=_digits(name, value)) if value else None


def to_milliseconds(duration: timedelta) -> str:
    """A duration as its header holds it: whole milliseconds, within what `milliseconds` reads."""
    whole = duration // timedelta(milliseconds=1)
    return str(min(max(whole, 0), 10**NUMBER_DIGITS_MAX - 1))


def instant(delivery: Delivery, name: str) -> datetime | None:
    """An optional RFC 3339 time, in UTC."""
    value = delivery.headers.get(name)
    if not value:
        return None
    try:
        return msgspec.convert(value, _INSTANT).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise bad(name, value, "an RFC 3339 time with its offset") from None


def to_instant(moment: datetime) -> str:
    """A time as its header holds it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def saga_id(value: str) -> str:
    """A saga's id, from `correlation_id`."""
    if not _SAGA_ID.fullmatch(present("correlation_id", value)):
        raise bad("correlation_id", value, "a saga id (UUID, lower case)")
    return value


def idempotency_key(name: str, value: str | None) -> str:
    """32 hex characters."""
    key = present(name, value)
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise bad(name, key, "32 hex characters")
    return key


def caller_message_id(delivery: Delivery) -> str:
    """The caller's `message_id`, possibly empty."""
    return limited("message_id", delivery.message_id, KEY_CHARACTERS_MAX)


def command_type(routing_key: str) -> tuple[str, str, int]:
    """Service, command and version of `payments.ChargeCard.v1`."""
    match = _COMMAND_TYPE.fullmatch(routing_key)
    if match is None:
        raise bad("the routing key", routing_key, "<service>.<Command>.v<N>")
    return match[1], match[2], int(match[3])


def agrees(name: str, value: str | None, routing_key_says: str) -> None:
    """Refuse a header that says something else than the routing key, which the broker checked against rights."""
    if value and value != routing_key_says:
        detail = cut_text(f"{name} says {shown(value)}, the routing key says {shown(routing_key_says)}")
        raise ProtocolViolation(Poison.HEADER_DISAGREES, detail)


def trace(delivery: Delivery) -> tuple[str | None, str | None]:
    """`traceparent` and `tracestate`. Malformed ones are dropped, as the W3C asks, and never park a message."""
    parent = delivery.headers.get(TRACEPARENT)
    if parent is None or not _TRACEPARENT.fullmatch(parent):
        return None, None
    state = delivery.headers.get(TRACESTATE)
    return parent, state if state and len(state) <= TRACESTATE_CHARACTERS_MAX else None


def cost(delivery: Delivery) -> costs.Cost | None:
    """What a reply cost, or None. One that cannot be read is empty, and never parks the reply: the answer counts."""
    value = delivery.headers.get(COST)
    if not value:
        return None
    try:
        return costs.read(value)
    except ValueError:
        return {}


def _digits(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= NUMBER_DIGITS_MAX):
        raise bad(name, value, f"at most {NUMBER_DIGITS_MAX} digits")
    return int(value)
