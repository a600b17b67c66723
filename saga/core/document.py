"""Recorded JSON, opened only as far as paths lead into it, and its scalars, decoded as a definition reads them.

Whatever the bytes are, nothing but `EvaluationError` leaves this module.
"""

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from saga.core.expression import JSON_NULL, EvaluationError, ScalarType, Sources

Scalar = bool | int | str | Decimal | datetime | timedelta
Path = tuple[str | int, ...]

UNREADABLE = (ValueError, RecursionError, ArithmeticError)
"""What decoders and numbers raise over hostile bytes."""
STR = msgspec.json.Decoder(str)
LIST = msgspec.json.Decoder(list[msgspec.Raw])
OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_DECIMAL = msgspec.json.Decoder(Decimal)
_SCALARS: dict[ScalarType, msgspec.json.Decoder[Any]] = {
    ScalarType.BOOL: msgspec.json.Decoder(bool),
    ScalarType.INT: msgspec.json.Decoder(int),
    ScalarType.DECIMAL: _DECIMAL,
    ScalarType.FLOAT: _DECIMAL,  # a float is compared with every digit it was written with
    ScalarType.STR: STR,
    ScalarType.INSTANT: msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)]),
    ScalarType.DURATION: msgspec.json.Decoder(timedelta),
}
_FOUND = {'"': "a string", "{": "an object", "[": "a list", "t": "true", "f": "false", "n": "null"}
_PLAIN_FIELD = re.compile(r'[^.\[\]"\s]+')


@lru_cache(maxsize=4096)
def path_text(source: str, fields: Path) -> str:
    """A path as `reads` and errors write it: `input.lines[0].sku`, `input["odd name"]`."""
    return source + "".join(
        f"[{field}]"
        if isinstance(field, int)
        else f".{field}"
        if _PLAIN_FIELD.fullmatch(field)
        else f"[{msgspec.json.encode(field).decode()}]"
        for field in fields
    )


class Gap(msgspec.Struct, frozen=True):
    """A path ends early: its first `depth` fields lead to null, or to nothing."""

    depth: int
    null: bool


class Document:
    """Bodies by source; each is read at most once, however many paths lead into it."""

    __slots__ = ("_opened", "_sources", "_whole")

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._whole: dict[str, msgspec.Raw] = {}
        self._opened: dict[Path, Mapping[str, msgspec.Raw] | list[msgspec.Raw]] = {}

    def whole(self, source: str) -> msgspec.Raw | None:
        """The body, known to be JSON; None when the source has no value. Raises EvaluationError."""
        raw = self._whole.get(source)
        if raw is None and (body := self._sources.get(source)) is not None:
            try:
                str(body, "utf-8")  # the decoder passes over strings that it does not have to read
                raw = self._whole[source] = _RAW.decode(body)
            except UNREADABLE as error:
                raise EvaluationError(source, f"is no JSON: {error}") from None
        return raw

    def find(self, source: str, fields: Path) -> msgspec.Raw | Gap:
        """The value at a path. Raises EvaluationError where the path leads through something of another shape."""
        value = self.whole(source)
        if value is None:
            return Gap(0, null=False)
        for depth, field in enumerate(fields):
            if bytes(value) == JSON_NULL:
                return Gap(depth, null=True)
            inner = self._open(source, fields[:depth], value, field)
            if inner is None:
                return Gap(depth + 1, null=False)
            value = inner
        return value

    def _open(self, source: str, above: Path, value: msgspec.Raw, field: str | int) -> msgspec.Raw | None:
        opened = self._opened.get((source, *above))
        if opened is None:
            decoder = LIST if isinstance(field, int) else OBJECT
            with contextlib.suppress(*UNREADABLE):
                opened = self._opened[(source, *above)] = decoder.decode(value)
        if isinstance(field, str) and isinstance(opened, dict):
            return opened.get(field)
        if isinstance(field, int) and isinstance(opened, list):
            return opened[field] if field < len(opened) else None
        expected = "a list" if isinstance(field, int) else "an object"
        raise EvaluationError(path_text(source, above), f"{expected} is read here, but it is {found(value)}")


def decode_scalar(value: msgspec.Raw, scalar_type: ScalarType, place: str) -> Scalar:
    """The value as the definition reads it. Raises EvaluationError, naming the place."""
    decoder = _SCALARS.get(scalar_type)
    reason = ""
    if decoder is not None:
        try:
            decoded: Scalar = decoder.decode(value)
        except UNREADABLE as error:
            reason = f" ({error})"
        else:
            quoted_number = scalar_type is ScalarType.FLOAT and bytes(value)[:1] == b'"'
            if not quoted_number and not (isinstance(decoded, Decimal) and not decoded.is_finite()):
                return decoded
    raise EvaluationError(place, f"{scalar_type} is read here, but it is {found(value)}{reason}")


def found(value: msgspec.Raw) -> str:
    """What a value is, for people; strings are named, not quoted: they may be private."""
    return _FOUND.get(bytes(value)[:1].decode("latin-1"), "a number")
