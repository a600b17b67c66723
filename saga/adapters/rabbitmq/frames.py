"""AMQP 0-9-1 frames of the hot path as bytes: publishes and acks out; deliveries, returns and confirms in.

Ours and not the client library's, for two reasons. A property that is no UTF-8 or a date beyond the calendar makes
the library drop the connection, so the broker redelivers it and the next connection dies too: here it becomes a
defect of that one delivery. And encoding a batch at once costs a tenth of one call a message.
"""

import struct
from functools import lru_cache

from saga.ports import Outgoing

METHOD, HEADER, BODY, _HEARTBEAT = 1, 2, 3, 8
KINDS = frozenset({METHOD, HEADER, BODY, _HEARTBEAT})
FRAME_END = b"\xce"
FRAME_OVERHEAD_BYTES = 8
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

# Class and method of a method frame, as one number.
CONNECTION_BLOCKED, CONNECTION_UNBLOCKED = 0x000A_003C, 0x000A_003D
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = 0x0014_0028, 0x0014_0029
BASIC_CANCEL, BASIC_RETURN, BASIC_DELIVER = 0x003C_001E, 0x003C_0032, 0x003C_003C
BASIC_ACK, BASIC_NACK, BASIC_PUBLISH = 0x003C_0050, 0x003C_0078, 0x003C_0028

FRAME_HEAD = struct.Struct(">BHI")
METHOD_INDEX = struct.Struct(">I")
TAG_AND_BITS = struct.Struct(">QB")
_CONTENT_HEAD = struct.Struct(">HHQH")
LENGTH = struct.Struct(">I")
_CLASS_BASIC = 60
_ACK_FRAME = struct.Struct(">BHIIQBc")
_ACK_PAYLOAD_BYTES = 13

# Flags of the properties we write, in the order of the wire.
_HEADERS, _DELIVERY_MODE, _CORRELATION_ID, _REPLY_TO = 0x2000, 0x1000, 0x0400, 0x0200
_MESSAGE_ID, _TYPE, _USER_ID = 0x0080, 0x0020, 0x0010
_ALWAYS = _HEADERS | _DELIVERY_MODE | _MESSAGE_ID
_PERSISTENT = b"\x02"


def encode_publish(message: Outgoing, channel: int, user: str | None, frame_bytes_max: int) -> bytes:
    """The method, header and body frames of one persistent publish. The message must have passed `unsendable`."""
    head = _publish_method(channel, message.exchange, message.routing_key, message.mandatory)
    properties = _properties(message, user)
    size = FRAME_HEAD.pack(HEADER, channel, len(properties))
    body = message.body
    chunk_bytes = frame_bytes_max - FRAME_OVERHEAD_BYTES
    if not body:
        return b"".join((head, size, properties, FRAME_END))
    if len(body) <= chunk_bytes:
        start = FRAME_HEAD.pack(BODY, channel, len(body))
        return b"".join((head, size, properties, FRAME_END, start, body, FRAME_END))
    parts = [head, size, properties, FRAME_END]
    for at in range(0, len(body), chunk_bytes):
        chunk = body[at : at + chunk_bytes]
        parts += (FRAME_HEAD.pack(BODY, channel, len(chunk)), chunk, FRAME_END)
    return b"".join(parts)


def encode_ack(channel: int, tag: int, *, multiple: bool = False) -> bytes:
    """Settle one delivery, or every unsettled one up to it."""
    return _ACK_FRAME.pack(METHOD, channel, _ACK_PAYLOAD_BYTES, BASIC_ACK, tag, multiple, FRAME_END)


def encode_nack(channel: int, tag: int) -> bytes:
    """Give one delivery back to its queue."""
    requeue = 0b10
    return _ACK_FRAME.pack(METHOD, channel, _ACK_PAYLOAD_BYTES, BASIC_NACK, tag, requeue, FRAME_END)


@lru_cache(maxsize=1_024)  # routing keys carry no ids but for callers' own, so the few in use stay
def _publish_method(channel: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:  # noqa: FBT001 - a key
    payload = b"".join(
        (METHOD_INDEX.pack(BASIC_PUBLISH), b"\0\0", _short(exchange), _short(routing_key), bytes((mandatory,)))
    )
    return FRAME_HEAD.pack(METHOD, channel, len(payload)) + payload + FRAME_END


def _properties(message: Outgoing, user: str | None) -> bytes:
    table = b"".join([part for name, value in message.headers.items() for part in _field(name, value.encode())])
    flags = _ALWAYS
    parts = [b"", LENGTH.pack(len(table)), table, _PERSISTENT]
    for flag, value in (
        (_CORRELATION_ID, message.correlation_id),
        (_REPLY_TO, message.reply_to),
        (_MESSAGE_ID, message.message_id),
        (_TYPE, message.type),
        (_USER_ID, user),
    ):
        if value:
            flags |= flag
            parts.append(_short(value))
    parts[0] = _CONTENT_HEAD.pack(_CLASS_BASIC, 0, len(message.body), flags)
    return b"".join(parts)


def _field(name: str, raw: bytes) -> tuple[bytes, bytes, bytes]:
    return _field_name(name), LENGTH.pack(len(raw)), raw


@lru_cache(maxsize=1_024)  # the names of headers are few
def _field_name(name: str) -> bytes:
    """With its length before it and the type of a string behind it."""
    return _short(name) + b"S"


def _short(text: str) -> bytes:
    raw = text.encode()
    return bytes((len(raw),)) + raw


def method_index(payload: bytes) -> int:
    """Class and method of a method frame; 0 for one too short to have any."""
    return METHOD_INDEX.unpack_from(payload)[0] if len(payload) >= METHOD_INDEX.size else 0


def decode_tag(payload: bytes) -> tuple[int, bool]:
    """Tag and `multiple` of an ack or nack."""
    tag, bits = TAG_AND_BITS.unpack_from(payload, 4)
    return tag, bool(bits & 1)


def decode_reason(payload: bytes) -> tuple[int, str]:
    """Code and text of a channel close or a return."""
    (code,) = struct.unpack_from(">H", payload, 4)
    text, _ = read_short(payload, 6)
    return code, text.decode(errors="replace")


def decode_blocked(payload: bytes) -> str:
    """Why the broker blocks the connection."""
    text, _ = read_short(payload, 4)
    return text.decode(errors="replace")


def read_short(data: bytes, at: int) -> tuple[bytes, int]:
    """A string with one byte of length, and where it ends. Raises IndexError, as reading past the end does."""
    end = at + 1 + data[at]
    if end > len(data):
        raise IndexError("a short string runs past its frame")
    return data[at + 1 : end], end


def read_long(data: bytes, at: int) -> tuple[bytes, int]:
    """A string with four bytes of length, and where it ends. Raises IndexError or struct.error."""
    start = at + LENGTH.size
    end = start + int(LENGTH.unpack_from(data, at)[0])
    if end > len(data):
        raise IndexError("a long string runs past its frame")
    return data[start:end], end
