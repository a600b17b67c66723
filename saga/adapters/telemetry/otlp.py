"""Spans as an OTLP request (`ExportTraceServiceRequest`, protobuf), written field by field.

No protobuf library: an export of the same history has to be the same bytes years and library versions later, and it
stands beside the hot path, where it costs a third of what the generated classes do. Field numbers are those of
opentelemetry-proto, which never change; the tests read every byte back with the generated classes.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from saga.core.spans import Link, Span, SpanKind

SERVICE_NAME: Final = "saga"
"""`service.name` of the engine's own spans: an orchestrator is not told apart from another, a trace has many."""
SCOPE: Final = "saga"
STATUS_ERROR: Final = 2
KINDS: Final = {SpanKind.INTERNAL: 1, SpanKind.PRODUCER: 4}

_CACHED_MAX = 16_384
_VARINT: Final = 0
_LENGTH: Final = 2
_FIXED64: Final = 1


def request(spans: Iterable[Span]) -> bytes:
    """One export request with all of these spans."""
    scope = _field(1, _text(1, SCOPE)) + b"".join(_field(2, _span(span)) for span in spans)
    return _field(1, _RESOURCE + _field(2, scope))


def _span(span: Span) -> bytes:
    parent = _field(4, bytes.fromhex(span.parent)) if span.parent else b""
    return b"".join(
        (
            _field(1, bytes.fromhex(span.trace)),
            _field(2, bytes.fromhex(span.id)),
            parent,
            _name(span.name, span.kind),
            _START,
            span.start_ns.to_bytes(8, "little"),
            _END,
            span.end_ns.to_bytes(8, "little"),
            *[_attribute(key, value) for key, value in span.attributes],
            *[_field(13, _link(link)) for link in span.links],
            _STATUS_ERROR if span.error else b"",
        )
    )


def _link(link: Link) -> bytes:
    kind = _field(4, _key_value("saga.link.kind", link.kind))
    return _field(1, bytes.fromhex(link.trace)) + _field(2, bytes.fromhex(link.span)) + kind


@lru_cache(maxsize=_CACHED_MAX)
def _name(name: str, kind: SpanKind) -> bytes:
    return _text(5, name) + _tag(6, _VARINT) + _varint(KINDS[kind])


@lru_cache(maxsize=_CACHED_MAX, typed=True)
def _attribute(key: str, value: str | int | bool) -> bytes:  # noqa: FBT001 - the value of an attribute
    return _field(9, _key_value(key, value))


def _key_value(key: str, value: str | int | bool) -> bytes:  # noqa: FBT001 - the value of an attribute
    match value:
        case bool():
            encoded = _tag(2, _VARINT) + _varint(int(value))
        case int():
            encoded = _tag(3, _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        case _:
            encoded = _text(1, value)
    return _text(1, key) + _field(2, encoded)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode(errors="replace"))


def _field(number: int, data: bytes) -> bytes:
    return _tag(number, _LENGTH) + _varint(len(data)) + data


@lru_cache(maxsize=64)
def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _ONE_BYTE[number]
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_ONE_BYTE: Final = tuple(bytes([number]) for number in range(0x80))
_START: Final = _tag(7, _FIXED64)
_END: Final = _tag(8, _FIXED64)
_STATUS_ERROR: Final = _field(15, _tag(3, _VARINT) + _varint(STATUS_ERROR))
_RESOURCE: Final = _field(1, _field(1, _key_value("service.name", SERVICE_NAME)))
