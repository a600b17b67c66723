"""What a delivery carries, read from its frames: whatever a sender put there becomes a value or a defect, no error."""

import struct
from functools import lru_cache

import msgspec

from saga.adapters.rabbitmq.frames import LENGTH, TAG_AND_BITS, read_long, read_short
from saga.core.limits import (
    BODY_BYTES_MAX,
    HEADERS_BYTES_MAX,
    NO_TEXT,
    UNCRITICAL_HEADERS,
    WANTED_HEADERS,
    headers_size,
)

_WANTED = tuple(prefix.encode() for prefix in WANTED_HEADERS)


class Deliver(msgspec.Struct, frozen=True):
    """The method frame that announces a delivery."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    defects: tuple[str, ...] = ()


class Properties(msgspec.Struct, frozen=True):
    """What we read of a content header. Everything unreadable is named in `defects` and left empty."""

    headers: dict[str, str]
    defects: tuple[str, ...]
    message_id: str = ""
    type: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    user_id: str | None = None


def decode_deliver(payload: bytes) -> Deliver:
    """Read the method frame of a delivery; names that are no UTF-8 become defects."""
    _, at = read_short(payload, 4)
    tag, redelivered = TAG_AND_BITS.unpack_from(payload, at)
    exchange, at = read_short(payload, at + TAG_AND_BITS.size)
    routing_key, _ = read_short(payload, at)
    try:
        return Deliver(tag, bool(redelivered & 1), exchange.decode(), routing_key.decode())
    except UnicodeDecodeError:
        names = (exchange.decode(errors="replace"), routing_key.decode(errors="replace"))
        return Deliver(tag, bool(redelivered & 1), *names, ("the routing key is no UTF-8",))


def decode_body_size(payload: bytes) -> int:
    """Size in bytes that a content header announces."""
    size: int = struct.unpack_from(">Q", payload, 4)[0]
    return size


def decode_properties(payload: bytes) -> Properties:
    """Read a content header; never raises."""
    defects: list[str] = []
    found: dict[str, str] = {}
    headers: dict[str, str] = {}
    try:
        table = _read_properties(payload, found, defects)
        headers = _wanted_headers(table, defects)
        # Names and values are never longer than the table that holds them.
        if len(table) > HEADERS_BYTES_MAX and (size_bytes := headers_size(headers.items())) > HEADERS_BYTES_MAX:
            headers = {}
            defects.append(f"the headers have {size_bytes} bytes, the limit is {HEADERS_BYTES_MAX}")
    except (IndexError, struct.error, KeyError) as error:
        defects.append(f"the properties cannot be read ({type(error).__name__})")
    return Properties(headers=headers, defects=tuple(defects), **found)


def oversize(body_bytes: int) -> tuple[str, ...]:
    """The defect of a body that is not kept."""
    return (f"the body has {body_bytes} bytes, the limit is {BODY_BYTES_MAX}; it was not read",)


_STRING = ord("S")
_TEXTS = frozenset(Properties.__struct_fields__) - {"headers", "defects"}

# Properties in the order of the wire: short strings but for those with a fixed size or a table.
_ORDER = (
    (0x8000, "content_type", -1),
    (0x4000, "content_encoding", -1),
    (0x2000, "headers", -2),
    (0x1000, "delivery_mode", 1),
    (0x0800, "priority", 1),
    (0x0400, "correlation_id", -1),
    (0x0200, "reply_to", -1),
    (0x0100, "expiration", -1),
    (0x0080, "message_id", -1),
    (0x0040, "timestamp", 8),
    (0x0020, "type", -1),
    (0x0010, "user_id", -1),
    (0x0008, "app_id", -1),
    (0x0004, "cluster_id", -1),
)


@lru_cache(maxsize=256)  # every client sets the same few combinations
def _present(flags: int) -> tuple[tuple[str, int], ...]:
    """Names and sizes of the properties that are there, in their order."""
    return tuple((name, size) for flag, name, size in _ORDER if flags & flag)


def _read_properties(payload: bytes, found: dict[str, str], defects: list[str]) -> bytes:
    """Fill in the properties we know; returns the table of headers, empty if there is none."""
    table = b""
    (flags,) = struct.unpack_from(">H", payload, 12)
    at = 14
    for name, size in _present(flags):
        if size == -1:
            raw, at = read_short(payload, at)
            if name in _TEXTS:
                _decode_text(found, name, raw, defects)
        elif size == -2:
            table, at = read_long(payload, at)
        else:
            at += size
    return table


def _wanted_headers(table: bytes, defects: list[str]) -> dict[str, str]:
    """The headers we look at, each a string, from their table. Raises IndexError, KeyError or struct.error."""
    headers: dict[str, str] = {}
    at, end = 0, len(table)
    while at < end:
        start, at = at + 1, at + 1 + table[at]
        name = _wanted_name(table[start:at])
        kind = table[at]
        if kind == _STRING:
            start = at + 1 + LENGTH.size
            at = start + LENGTH.unpack_from(table, at + 1)[0]
            if at > end:
                raise IndexError("a header runs past its table")
        else:
            start = at = at + 1 + _skip(bytes((kind,)), table, at + 1)
        if not name:
            continue
        if name in UNCRITICAL_HEADERS:
            headers[name] = NO_TEXT if kind != _STRING or name in headers else _leniently(table[start:at])
        elif kind != _STRING:
            shown = bytes((kind,)).decode(errors="replace")
            defects.append(f"the header {name} is no string (AMQP type {shown!r})")
        elif name in headers:
            defects.append(f"the header {name} is there twice")
        else:
            _decode_text(headers, name, table[start:at], defects)
    return headers


@lru_cache(maxsize=1_024)  # names are few; what a sender invents only pushes others out
def _wanted_name(raw: bytes) -> str:
    """The name of a header we look at, or nothing."""
    return raw.decode(errors="replace") if raw.startswith(_WANTED) else ""


def _leniently(raw: bytes) -> str:
    """What nothing is refused for: NUL would be."""
    return raw.decode(errors="replace").replace("\0", NO_TEXT)


def _decode_text(into: dict[str, str], name: str, raw: bytes, defects: list[str]) -> None:
    try:
        into[name] = raw.decode()
    except UnicodeDecodeError:
        defects.append(f"{name} is no UTF-8")


_SIZES = {
    b"t": 1, b"b": 1, b"B": 1, b"s": 2, b"u": 2, b"U": 2, b"I": 4, b"i": 4, b"l": 8, b"L": 8,
    b"f": 4, b"d": 8, b"D": 5, b"T": 8, b"V": 0, b"\0": 0,
}  # fmt: skip


def _skip(kind: bytes, table: bytes, at: int) -> int:
    """Bytes that a value of this type takes. Raises KeyError for a type nobody defined."""
    if kind in (b"S", b"x", b"F", b"A"):
        return LENGTH.size + int(LENGTH.unpack_from(table, at)[0])
    return _SIZES[kind]
