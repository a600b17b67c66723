"""Spans as an OTLP request (`ExportTraceServiceRequest`, protobuf), written field by field.

No protobuf library: an export of the same history has to be the same bytes years and library versions later, and this
stands beside the hot path, where the generated classes take ten times as long. Field numbers are those of
opentelemetry-proto, which never change; the tests read every byte back with the generated classes.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from saga.core.spans import Link, Span, SpanKind

SERVICE_NAME: Final = "saga"
"""`service.name` of the engine's own spans: an orchestrator is not told apart from another, a trace has many."""
SCOPE: Final = "saga"
STATUS_ERROR: Final = 2
KINDS: Final = {SpanKind.INTERNAL: 1, SpanKind.PRODUCER: 4}

Attributes = Mapping[str, object]
"""Values as OpenTelemetry has them: text, numbers, bytes, and sequences and mappings of values."""

_CACHED_MAX = 16_384
_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_INT64: Final = 0xFFFF_FFFF_FFFF_FFFF


def request(spans: Iterable[Span]) -> bytes:
    """One export request with all of these spans."""
    return resource_spans(_RESOURCE, _SCOPE, [field(2, _span(span)) for span in spans])


def resource_spans(resource: bytes, scope: bytes, spans: Iterable[bytes]) -> bytes:
    """A part of a request: a resource's encoded attributes, an encoded scope, and spans as `field(2, ...)`."""
    scope_spans = field(2, field(1, scope) + b"".join(spans))
    return field(1, field(1, resource) + scope_spans)


def head(trace: bytes, span: bytes, parent: bytes, named: bytes) -> bytes:
    """The first fields of a span; ids as bytes, the parent's possibly empty."""
    return b"".join((_TRACE_ID, trace, _SPAN_ID, span, _PARENT_ID + parent if parent else b"", named))


def times(start_ns: int, end_ns: int) -> bytes:
    """When it began and ended."""
    return b"".join((_START, start_ns.to_bytes(8, "little"), _END, end_ns.to_bytes(8, "little")))


@lru_cache(maxsize=_CACHED_MAX)
def named(name: str, kind: int) -> bytes:
    """Name and kind of a span, by the number of its kind."""
    return text(5, name) + tag(6, _VARINT) + varint(kind)


@lru_cache(maxsize=_CACHED_MAX, typed=True)
def attribute(number: int, key: str, value: str | int | bool) -> bytes:  # noqa: FBT001 - the value of an attribute
    """One attribute, as the repeated field of this number."""
    return field(number, key_value(key, value))


def identifier(number: int, key: str, value: str) -> bytes:
    """One attribute whose value is hardly ever the same twice: not worth remembering."""
    data = value.encode(errors="replace")
    return _before_text(number, key, len(data)) + data


@lru_cache(maxsize=_CACHED_MAX)
def _before_text(number: int, key: str, size_bytes: int) -> bytes:
    """An attribute up to the text it ends with."""
    whole = field(number, key_value(key, "x" * size_bytes))
    return whole[: len(whole) - size_bytes]


def attributes(number: int, given: Attributes) -> bytes:
    """Several, of any kind."""
    return b"".join(
        attribute(number, key, value) if isinstance(value, str | int) else field(number, key_value(key, value))
        for key, value in given.items()
    )


def link(trace: bytes, span: bytes, encoded_attributes: bytes) -> bytes:
    """A span's link; its attributes are fields 4."""
    return field(13, b"".join((_TRACE_ID, trace, _SPAN_ID, span, encoded_attributes)))


def event(name: str, at_ns: int, encoded_attributes: bytes) -> bytes:
    """A span's event; its attributes are fields 3."""
    return field(11, tag(1, _FIXED64) + at_ns.to_bytes(8, "little") + text(2, name) + encoded_attributes)


def status(code: int, message: str) -> bytes:
    """How a span ended: 0 unset, 1 ok, 2 error."""
    if not code:
        return b""
    return field(15, (text(2, message) if message else b"") + tag(3, _VARINT) + varint(code))


def key_value(key: str, value: object) -> bytes:
    """A name with its typed value."""
    return text(1, key) + field(2, _any_value(value))


def text(number: int, value: str) -> bytes:
    """A string field."""
    return field(number, value.encode(errors="replace"))


def field(number: int, data: bytes) -> bytes:
    """A field with a length."""
    return tag(number, _LENGTH) + varint(len(data)) + data


@lru_cache(maxsize=64)
def tag(number: int, wire_type: int) -> bytes:
    """What stands before a field."""
    return varint(number << 3 | wire_type)


def varint(number: int) -> bytes:
    """A number in as many bytes as it needs."""
    if number < 0x80:
        return _ONE_BYTE[number]
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _any_value(value: object) -> bytes:  # noqa: C901 - one case a type
    match value:
        case bool():
            return tag(2, _VARINT) + varint(int(value))
        case int():
            return tag(3, _VARINT) + varint(value & _INT64)
        case float():
            return tag(4, _FIXED64) + struct.pack("<d", value)
        case str():
            return text(1, value)
        case None:
            return b""
        case bytes():
            return field(7, value)
        case Mapping():
            return field(6, b"".join(field(1, key_value(str(key), each)) for key, each in value.items()))
        case Sequence():
            return field(5, b"".join(field(1, _any_value(each)) for each in value))
        case _:
            return text(1, str(value))


def _span(span: Span) -> bytes:
    name = named(span.name, KINDS[span.kind])
    return b"".join(
        (
            head(_bytes(span.trace), bytes.fromhex(span.id), bytes.fromhex(span.parent), name),
            times(span.start_ns, span.end_ns),
            *[attribute(9, key, value) for key, value in span.attributes],
            *[_link(each) for each in span.links],
            _ERROR if span.error else b"",
        )
    )


def _link(found: Link) -> bytes:
    kind = attribute(4, "saga.link.kind", found.kind)
    return link(bytes.fromhex(found.trace), bytes.fromhex(found.span), kind)


@lru_cache(maxsize=_CACHED_MAX)
def _bytes(trace: str) -> bytes:
    return bytes.fromhex(trace)


_ONE_BYTE: Final = tuple(bytes([number]) for number in range(0x80))
_TRACE_ID: Final = tag(1, _LENGTH) + varint(16)
_SPAN_ID: Final = tag(2, _LENGTH) + varint(8)
_PARENT_ID: Final = tag(4, _LENGTH) + varint(8)
_START: Final = tag(7, _FIXED64)
_END: Final = tag(8, _FIXED64)
_ERROR: Final = status(STATUS_ERROR, "")
_RESOURCE: Final = attribute(1, "service.name", SERVICE_NAME)
_SCOPE: Final = text(1, SCOPE)
