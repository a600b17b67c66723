"""Our frames are the client library's frames, byte for byte."""

import io

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.content import decode_body_size, decode_deliver, decode_properties
from saga.ports import Outgoing

FRAME_BYTES_MAX = 4_096
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
EXCHANGES = st.text("abcxyz.-_:", max_size=40)  # the library writes no others
MESSAGES = st.builds(
    Outgoing,
    exchange=EXCHANGES,
    routing_key=TEXT,
    body=st.binary(max_size=10_000),
    message_id=TEXT.filter(bool),
    type=TEXT,
    headers=st.dictionaries(TEXT.filter(bool), TEXT, max_size=5),
    correlation_id=TEXT,
    reply_to=TEXT,
    mandatory=st.booleans(),
)


def by_the_library(message: Outgoing, channel: int, user: str | None) -> bytes:
    properties = spec.Basic.Properties(
        headers=dict(message.headers),
        delivery_mode=2,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        message_id=message.message_id,
        message_type=message.type,
        user_id=user,
    )
    parts: list[pamqp.frame.FrameTypes] = [
        spec.Basic.Publish(
            exchange=message.exchange, routing_key=message.routing_key, mandatory=message.mandatory, immediate=False
        ),
        ContentHeader(body_size=len(message.body), properties=properties),
    ]
    body = io.BytesIO(message.body)
    while chunk := body.read(FRAME_BYTES_MAX - frames.FRAME_OVERHEAD_BYTES):
        parts.append(ContentBody(chunk))
    return b"".join(pamqp.frame.marshal(part, channel) for part in parts)


@given(MESSAGES, st.integers(1, 65_535), st.sampled_from([None, "payments", "ü"]))
def test_a_publish_is_what_the_library_would_write(message: Outgoing, channel: int, user: str | None) -> None:
    """Any message, in frames of any number."""
    ordered = dict(sorted(message.headers.items()))  # the library sorts
    message = Outgoing(**{name: getattr(message, name) for name in message.__struct_fields__} | {"headers": ordered})
    ours = frames.encode_publish(message, channel, user, FRAME_BYTES_MAX)
    assert ours == by_the_library(message, channel, user)


@given(MESSAGES)
def test_what_we_write_we_read(message: Outgoing) -> None:
    """Properties survive the way through a content header, and our headers with them."""
    headers = {f"saga-{name}": value for name, value in message.headers.items()}
    message = Outgoing(**{name: getattr(message, name) for name in message.__struct_fields__} | {"headers": headers})
    raw = frames.encode_publish(message, 1, "payments", FRAME_BYTES_MAX)
    _, _, method_bytes = frames.FRAME_HEAD.unpack_from(raw, 0)
    at = method_bytes + frames.FRAME_OVERHEAD_BYTES
    _, _, size_bytes = frames.FRAME_HEAD.unpack_from(raw, at)
    payload = raw[at + frames.FRAME_HEAD.size :][:size_bytes]
    read = decode_properties(payload)
    assert (read.message_id, read.type, read.correlation_id) == (
        message.message_id,
        message.type,
        message.correlation_id,
    )
    assert (read.reply_to, read.user_id, read.headers, read.defects) == (message.reply_to, "payments", headers, ())
    assert decode_body_size(payload) == len(message.body)


@given(st.binary(max_size=300))
def test_no_content_header_raises(noise: bytes) -> None:
    """Noise is a defect, or nothing: never an error."""
    decode_properties(b"\0\x3c\0\0" + bytes(8) + noise)


@pytest.mark.parametrize("multiple", [False, True])
def test_acks_are_those_of_the_library(multiple: bool) -> None:
    """Ack and nack, by tag."""
    ack = spec.Basic.Ack(delivery_tag=2**40, multiple=multiple)
    assert frames.encode_ack(7, 2**40, multiple=multiple) == pamqp.frame.marshal(ack, 7)
    nack = spec.Basic.Nack(delivery_tag=3, multiple=False, requeue=True)
    assert frames.encode_nack(7, 3) == pamqp.frame.marshal(nack, 7)


def payload_of(frame: spec.Basic.Deliver | spec.Basic.Ack | spec.Channel.Close | spec.Connection.Blocked) -> bytes:
    raw = pamqp.frame.marshal(frame, 1)
    return raw[frames.FRAME_HEAD.size : -1]


@given(st.integers(1, 2**63 - 1), st.booleans(), EXCHANGES, TEXT)
def test_deliveries_are_read_as_the_library_writes_them(tag: int, redelivered: bool, exchange: str, key: str) -> None:
    """Tag, flag and names."""
    payload = payload_of(spec.Basic.Deliver("ctag", tag, redelivered, exchange, key))
    read = decode_deliver(payload)
    assert frames.method_index(payload) == frames.BASIC_DELIVER
    assert (read.tag, read.redelivered, read.exchange, read.routing_key) == (tag, redelivered, exchange, key)


def test_confirms_closes_and_alarms_are_read() -> None:
    """The other methods we look at."""
    assert frames.decode_tag(payload_of(spec.Basic.Ack(9, multiple=True))) == (9, True)
    close = spec.Channel.Close(404, "NOT_FOUND - no exchange", 60, 40)
    assert frames.decode_reason(payload_of(close)) == (404, "NOT_FOUND - no exchange")
    assert frames.method_index(payload_of(close)) == frames.CHANNEL_CLOSE
    blocked = spec.Connection.Blocked("low on memory")
    assert frames.decode_blocked(payload_of(blocked)) == "low on memory"
    assert frames.method_index(payload_of(blocked)) == frames.CONNECTION_BLOCKED
