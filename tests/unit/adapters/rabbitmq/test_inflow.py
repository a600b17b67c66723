"""Deliveries are assembled from frames cut anywhere, and settled with the fewest acks that are true."""

import asyncio
from collections.abc import Sequence

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.inflow import Inflow
from saga.adapters.rabbitmq.transport import Loss, Tap

CHANNEL = 3


class RecordingSocket(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False


class World:
    """A tap on a socket that goes nowhere, with one inflow."""

    def __init__(self, first_token: int = 1) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(loop=loop)
        self.tap = Tap(self.reader, loop)
        self.socket = RecordingSocket()
        self.tap.connection_made(self.socket)
        self.inflow = Inflow(self.tap, CHANNEL, "q", first_token, lambda: None)

    def deliver(self, count: int) -> None:
        first = self.inflow.arrived_count + 1
        self.tap.data_received(b"".join(delivery(tag) for tag in range(first, first + count)))

    def acks(self) -> list[tuple[str, int, bool]]:
        """What was written since the last call, as the library reads it."""
        data, self.socket.written = self.socket.written, b""
        found = []
        while data:
            size_bytes, _, frame = pamqp.frame.unmarshal(data)
            assert isinstance(frame, spec.Basic.Ack | spec.Basic.Nack)
            found.append((type(frame).__name__, frame.delivery_tag or 0, bool(frame.multiple)))
            data = data[size_bytes:]
        return found


def delivery(tag: int, body: bytes = b"body", channel: int = CHANNEL) -> bytes:
    parts: Sequence[pamqp.frame.FrameTypes] = (
        spec.Basic.Deliver("ctag", tag, redelivered=False, exchange="e", routing_key="k"),
        ContentHeader(body_size=len(body), properties=spec.Basic.Properties(message_id=f"m-{tag}")),
        *([ContentBody(body)] if body else []),
    )
    return b"".join(pamqp.frame.marshal(part, channel) for part in parts)


async def test_settling_from_the_oldest_on_is_one_ack() -> None:
    """A prefix needs one frame however long it is."""
    world = World()
    world.deliver(100)
    world.inflow.settle(range(1, 61), ())
    world.inflow.settle(range(61, 101), ())
    assert world.acks() == [("Ack", 60, True), ("Ack", 100, True)]
    assert world.inflow.unsettled_count == 0


async def test_behind_a_gap_each_is_acked_alone_until_the_gap_is_filled() -> None:
    """A multiple ack never covers what is not settled, and never names a tag that was settled before."""
    world = World()
    world.deliver(6)
    world.inflow.settle([3, 5], ())
    assert world.acks() == [("Ack", 3, False), ("Ack", 5, False)]
    world.inflow.settle([1, 2], ())
    assert world.acks() == [("Ack", 2, True)]
    world.inflow.settle([], [4])
    assert world.acks() == [("Nack", 4, False)]
    world.inflow.settle([6], ())
    assert world.acks() == [("Ack", 6, True)]
    world.inflow.settle([1, 3, 6], [4])
    assert world.acks() == []


async def test_tokens_of_another_inflow_are_ignored() -> None:
    """After a reconnect old deliveries cannot settle new ones."""
    world = World(first_token=101)
    world.deliver(2)
    assert [one.token for one in world.inflow.take()] == [101, 102]
    world.inflow.settle([1, 2, 100, 103], [50])
    assert world.acks() == []
    world.inflow.settle([101], ())
    assert world.acks() == [("Ack", 1, True)]


@given(st.data())
def test_every_order_of_settling_settles_each_delivery_exactly_once(data: st.DataObject) -> None:
    """The broker, played by a set of unsettled tags, never sees an ack that it would refuse."""
    count = data.draw(st.integers(1, 12))
    order = data.draw(st.permutations(range(1, count + 1)))
    cuts = data.draw(st.lists(st.integers(1, 4), min_size=count))
    released = data.draw(st.sets(st.sampled_from(order)))

    async def run() -> None:
        world, unsettled, at = World(), set(range(1, count + 1)), 0
        world.deliver(count)
        for size in cuts:
            batch, at = order[at : at + size], at + size
            world.inflow.settle([tag for tag in batch if tag not in released], [t for t in batch if t in released])
            for _, tag, multiple in world.acks():
                assert tag in unsettled, "unknown delivery tag: the broker would close the channel"
                settled = {one for one in unsettled if one <= tag} if multiple else {tag}
                assert settled <= set(order[:at])
                unsettled -= settled
            assert unsettled == set(order[at:])

    asyncio.run(run())


@given(st.lists(st.integers(1, 200), max_size=60))
def test_frames_may_be_cut_anywhere(cuts: list[int]) -> None:
    """What the socket reads at once has nothing to do with where frames end; other channels' frames are forwarded."""

    async def run() -> None:
        world = World()
        foreign = pamqp.frame.marshal(spec.Channel.OpenOk(), 9)
        stream = delivery(1) + foreign + delivery(2, b"") + delivery(3, b"x" * 300) + foreign
        at = 0
        for size in [*cuts, len(stream)]:
            if chunk := stream[at : at + size]:
                world.tap.data_received(chunk)
            at += size
        assert [one.message_id for one in world.inflow.take()] == ["m-1", "m-2", "m-3"]
        assert await world.reader.readexactly(2 * len(foreign)) == foreign * 2

    asyncio.run(run())


async def test_a_closed_channel_ends_the_inflow_and_is_still_told_to_the_library() -> None:
    """The library answers the close; nothing more is written to the channel."""
    world = World()
    world.deliver(1)
    close = pamqp.frame.marshal(spec.Channel.Close(406, "PRECONDITION_FAILED", 60, 80), CHANNEL)
    world.tap.data_received(close)
    assert world.inflow.loss == Loss(406, "PRECONDITION_FAILED")
    assert world.inflow.take() == []
    world.inflow.settle([1], ())
    assert world.acks() == []
    assert await world.reader.readexactly(len(close)) == close


async def test_an_alarm_stops_publishes_and_not_acks() -> None:
    """`writable` waits for the end of the alarm, `uncongested` does not."""
    world = World()
    world.tap.data_received(pamqp.frame.marshal(spec.Connection.Blocked("low on memory"), 0))
    assert world.tap.blocked == "low on memory"
    await world.tap.uncongested()
    waiting = asyncio.ensure_future(world.tap.writable())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0)
    world.tap.data_received(pamqp.frame.marshal(spec.Connection.Unblocked(), 0))
    await waiting


async def test_what_is_no_frame_goes_to_the_library_as_it_is() -> None:
    """A peer that speaks another protocol is the library's to report."""
    world = World()
    world.tap.data_received(b"HTTP/1.1 400 Bad Request\r\n")
    assert await world.reader.read(4) == b"HTTP"


async def test_the_library_hears_a_heartbeat_while_all_traffic_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would take a busy connection for a dead one."""
    monkeypatch.setattr("saga.adapters.rabbitmq.transport.FORWARD_HEARTBEAT_SECONDS", -1.0)
    world = World()
    world.deliver(1)
    assert await world.reader.readexactly(len(frames.HEARTBEAT)) == frames.HEARTBEAT
