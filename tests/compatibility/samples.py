"""One value of every recorded event, with every field set: what the golden files are made of."""

import types
import typing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from saga.core import events as e

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def samples() -> dict[str, e.AnyEvent]:
    """By class name."""
    return {kind.__name__: _sample(kind) for kind in e.AnyEvent.__args__}


def _sample(kind: type[e.AnyEvent]) -> e.AnyEvent:
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {field: _value(field, hints[field]) for field in kind.__struct_fields__}
    return kind(**fields)


def _value(field: str, hint: object) -> object:  # noqa: C901 - one line a type
    if isinstance(hint, types.UnionType):
        hint = next(member for member in hint.__args__ if member is not type(None))
    origin = typing.get_origin(hint)
    if origin is dict:
        amounts = typing.get_args(hint)[1] is Decimal
        return {"USD": Decimal("0.0123"), "tokens": Decimal(1520)} if amounts else {"city": "Bergen"}
    if origin is tuple:
        is_raw = typing.get_args(hint)[0] is msgspec.Raw
        return (_value(field, msgspec.Raw),) * 2 if is_raw else ("reserve", "charge")
    if hint is datetime:
        return AT if field == "at" else AT + timedelta(hours=1)
    if hint is msgspec.Raw:
        return msgspec.Raw(b'{"total":100.10,"id":12345678901234567890}')
    if hint is bool:
        return True
    if hint is int:
        return 3
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return list(hint)[-1]
    return f"{field} \u00e9\u2028"
