"""Publishes what no client library would write: properties and tables as raw bytes."""

import struct

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.link import Link

# Flags of the properties a test may fill.
HEADERS, MESSAGE_ID, TIMESTAMP, TYPE = 0x2000, 0x0080, 0x0040, 0x0020
CHUNK_BYTES = 131_000


async def publish_raw(
    url: str,
    flags: int,
    properties: bytes,
    body: bytes = b"",
    key: bytes = b"payments.A.v1",
    *,
    exchange: bytes = b"saga.commands",
) -> None:
    """Write a message as no client library would."""
    link = await Link.open(url, name="hostile")
    channel = await link.open_channel(confirms=False)
    method = struct.pack(">IH", frames.BASIC_PUBLISH, 0) + _short(exchange) + _short(key) + b"\0"
    header = struct.pack(">HHQH", 60, 0, len(body), flags) + properties
    parts = [(frames.METHOD, method), (frames.HEADER, header)]
    parts += [(frames.BODY, body[at : at + CHUNK_BYTES]) for at in range(0, len(body), CHUNK_BYTES)]
    for kind, payload in parts:
        link.tap.write(frames.FRAME_HEAD.pack(kind, channel.number, len(payload)) + payload + frames.FRAME_END)
        await link.tap.writable()
    await channel.basic_qos(prefetch_count=1)  # an RPC: the broker has read what came before
    await link.close()


def _short(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def table(*fields: bytes) -> bytes:
    return struct.pack(">I", sum(map(len, fields))) + b"".join(fields)


def text(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + b"S" + struct.pack(">I", len(value)) + value
