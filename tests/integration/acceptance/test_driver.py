"""The load driver repeats each start until it is accepted, and logs what it hears."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from services.world.books import Books, read
from tests.acceptance.driver import Driver
from tests.acceptance.load import Mix, order_of
from tests.integration.acceptance.wire_topology import declare


class DeafEngine:
    """Answers starts as the contract says, but does not hear the first of each order."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel) -> None:
        self.channel = channel
        self.heard: Counter[str] = Counter()

    async def start(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        order = json.loads(message.body)["order_id"]
        assert (message.type, message.headers["saga-key"], message.user_id) == ("order", order, "guest")
        self.heard[order] += 1
        if self.heard[order] == 1:
            return
        if order.endswith("3"):
            await self.answer(message, "refused", {"code": "invalid-input", "reason": "no"})
        else:
            await self.answer(message, "accepted", {"saga": f"saga-{order}", "existing": self.heard[order] > 2})
            await self.answer(message, "ended", {"saga": f"saga-{order}", "status": "completed", "output": {}})

    async def answer(self, start: AbstractIncomingMessage, kind: str, body: dict[str, object]) -> None:
        exchange = await self.channel.get_exchange("saga.results", ensure=False)
        headers: aio_pika.abc.HeadersType = {"saga-in-reply-to": start.message_id}
        message = aio_pika.Message(json.dumps(body).encode(), type=f"saga.{kind}.v1", headers=headers)
        await exchange.publish(message, start.reply_to or "", mandatory=False)


@pytest.fixture
async def engine(vhost: str) -> AsyncIterator[DeafEngine]:
    """A stand-in for the engine, on the real topology."""
    connection = await aio_pika.connect(vhost)
    channel = await connection.channel()
    await declare(channel)
    made = DeafEngine(channel)
    queue = await channel.get_queue("saga.start", ensure=False)
    await queue.consume(made.start)
    yield made
    await connection.close()


async def test_every_start_is_repeated_until_it_is_answered(engine: DeafEngine, vhost: str, tmp_path: Path) -> None:
    """An engine that does not hear the first of each start still gets every order, and the log says so."""
    orders = [order_of("run", number, Mix(twice=0, cancelled=0)) for number in range(10)]
    driver = Driver(vhost, orders, Books(tmp_path / "log"), repeat_seconds=0.2, until_ended=True)
    counts = await driver.run(seconds=0.5, patience_seconds=20)
    assert (counts["asked"], counts["accepted"], counts["refused"], counts["open"]) == (10, 9, 1, 0)
    assert counts["ended"] == 9
    assert counts["as two sagas"] == 0
    assert counts["sendings"] >= 20
    assert {line["order"] for line in read(tmp_path / "log", "accepted")} == {o.order_id for o in orders} - {
        "run-00003"
    }
    assert {line["code"] for line in read(tmp_path / "log", "refused")} == {"invalid-input"}


async def test_some_customers_change_their_mind(engine: DeafEngine, vhost: str, tmp_path: Path) -> None:
    """A share of the orders is cancelled once, by name and business key, after it was accepted."""
    orders = [order_of("run", number, Mix(twice=0, cancelled=1)) for number in range(3)]
    driver = Driver(vhost, orders, Books(tmp_path / "log"), repeat_seconds=0.2, until_ended=False)
    await driver.run(seconds=0.1, patience_seconds=20)
    queue = await engine.channel.get_queue("saga.control", ensure=False)
    asked = [await queue.get(no_ack=True, timeout=5) for _ in orders]
    assert sorted(str(message.headers["saga-key"]) for message in asked) == [order.order_id for order in orders]
    assert {(m.routing_key, m.type, m.user_id, m.headers["saga-name"]) for m in asked} == {
        ("cancel", "saga.cancel.v1", "guest", "order")
    }
    assert len(read(tmp_path / "log", "cancelled")) == 3


async def test_it_waits_for_a_broker_without_topology(vhost: str, tmp_path: Path) -> None:
    """Where the exchanges are missing, as after a wipe, it tries again until they are there."""
    driver = Driver(
        vhost, [order_of("run", 1, Mix(cancelled=0))], Books(tmp_path / "log"), repeat_seconds=0.2, until_ended=False
    )
    running = asyncio.ensure_future(driver.run(seconds=0, patience_seconds=30))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(running), 1)
    assert driver.counts()["open"] == 1
    connection = await aio_pika.connect(vhost)
    async with connection:
        channel = await connection.channel()
        await declare(channel)
        engine = DeafEngine(channel)
        await (await channel.get_queue("saga.start", ensure=False)).consume(engine.start)
        counts = await running
    assert (counts["accepted"], counts["open"]) == (1, 0)


def test_orders_are_the_same_for_everybody_who_asks() -> None:
    """Driver and auditor make the same order from run, number and seed; the mix is kept."""
    mix = Mix(declined=0.5, twice=0)
    orders = [order_of("run", number, mix, 7) for number in range(400)]
    assert orders == [order_of("run", number, mix, 7) for number in range(400)]
    declined = sum(json.loads(order.body)["customer"].startswith("declined-") for order in orders)
    assert declined / 400 == pytest.approx(0.53, abs=0.08)
    body = json.loads(orders[0].body)
    assert sum(line["unit_count"] for line in body["lines"]) == orders[0].unit_count
    assert body["total"] == f"{orders[0].total_cents / 100:.2f}"
