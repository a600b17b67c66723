"""Parked messages over real servers: back to where they came from, whoever sent them first."""

import asyncio
from collections.abc import Awaitable, Callable

import aio_pika
import msgspec
import pytest

from saga import wire
from saga.core.messages import Outcome, ReplyEffect
from saga.core.topology import command_queue
from saga.ports import Batch, Delivery, Outgoing
from tests.builders import INPUT_ID, plan, reply
from tests.integration.orders_place import POLL_SECONDS, SOON, SOON_SECONDS, Place, trusted
from tests.integration.test_cli_real import saga
from tests.unit.engine.rig import start_message

LATER = plan(trusted("reserve"), key=INPUT_ID, name="later")


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Poll."""
    async with asyncio.timeout(SOON_SECONDS):
        while not await true():
            await asyncio.sleep(POLL_SECONDS)


def delivered(message: Outgoing, queue: str, sender: str) -> Delivery:
    """As it came to whoever parked it."""
    return Delivery(
        queue=queue,
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        message_id=message.message_id,
        type=message.type,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        headers=message.headers,
        sender=sender,
        redelivered=False,
        token=1,
    )


async def park(place: Place, *deliveries: Delivery) -> None:
    """As an orchestrator does."""
    async with place.store() as store:
        await store.commit(Batch(parked=[wire.parked_from_delivery(each, "unknown-saga", "") for each in deliveries]))


async def test_a_start_of_another_user_goes_back(place: Place) -> None:
    """The broker refuses another's `user_id` and closes the channel: it is published without one, and starts."""
    start = wire.start_to_wire(start_message(name="later", message_id="start-1", reply_to="shop.till"))
    await park(place, delivered(start, "saga.start", "shop"))
    async with place.orchestrating():
        code, out, err = await saga(place, "parked", "redrive", "--all", "--reason", "too early", "-o", "json")
        assert (code, [each["outcome"] for each in msgspec.json.decode(out)]) == (0, ["redriven"]), err
        await until(lambda: _parked_again(place))
        await place.publish(LATER)
        code, out, err = await saga(place, "parked", "redrive", "--code", "unknown-definition", "--reason", "published")
        assert code == 0, err
        async with place.serving():
            await until(lambda: _completed(place, "later"))
    code, out, _ = await saga(place, "parked", "list", "--settled", "-o", "json")
    assert [each["settled"] for each in msgspec.json.decode(out)] == ["redriven", "redriven"]
    code, _, err = await saga(place, "parked", "redrive", "1", "--reason", "once more")
    assert (code, "SAGA-3008" in err) == (4, True)
    code, _, err = await saga(place, "parked", "redrive", "1", "--reason", "once more", "--again")
    assert code == 0, err
    assert len(await place.rows(name="later")) == 1


async def test_a_reply_moves_its_saga(place: Place) -> None:
    """What was parked is decided on with the identity it came with, also while no broker is there."""
    async with place.orchestrating(), place.calling() as caller:
        started = await caller.start("order", {"id": "o1"}, within=SOON)
        async with place.bus("looking") as bus:
            commands = await bus.consume(command_queue("reserve-service"), 1)
            [command] = await commands.receive()
            await commands.settle([command])
        answer = reply(wire.command_from_wire(command), Outcome.OK, effect=ReplyEffect.APPLIED)
        await park(place, delivered(wire.reply_to_wire(answer), "saga.replies", "guest"))
        code, _, err = await saga(
            place, "--amqp", "amqp://127.0.0.1:1", "parked", "redrive", "1", "--reason", "r", "-o", "json"
        )
        assert code == 0, err
        async with place.serving("charge-service"):
            await until(lambda: _completed(place, "order"))
    async with place.store() as store:
        causes = [row.cause for row in await store.history(started.saga)]
    assert any(cause.startswith("operator redrive by ") for cause in causes)


@pytest.mark.parametrize("lost", ["queue", "broker"])
async def test_what_is_not_taken_stays_parked(place: Place, lost: str) -> None:
    """No queue for it, or no broker: said so, and nothing is marked."""
    async with place.orchestrating(), place.calling() as caller:
        await caller.start("order", {"id": "o1"}, within=SOON)
        async with place.bus("looking") as bus:
            commands = await bus.consume(command_queue("reserve-service"), 1)
            [command] = await commands.receive()
            await commands.settle([command])
    await park(place, command)
    if lost == "queue":
        async with await aio_pika.connect(place.amqp) as connection, connection.channel() as channel:
            await channel.queue_delete(command_queue("reserve-service"))
    away = ["--amqp", "amqp://guest:guest@127.0.0.1:1/"] if lost == "broker" else []
    code, out, err = await saga(place, *away, "parked", "redrive", "--all", "--reason", "r", "-o", "json")
    if lost == "broker":
        assert (code, msgspec.json.decode(out)) == (6, []), err
    else:
        assert (code, "no queue takes it" in msgspec.json.decode(out)[0]["detail"]) == (4, True), err
    code, out, _ = await saga(place, "parked", "list", "-o", "id")
    assert out.split() == ["1"]


async def _parked_again(place: Place) -> bool:
    return any(message.reason == "unknown-definition" for message in await place.parked())


async def _completed(place: Place, name: str) -> bool:
    return [row.status for row in await place.rows(name=name)] == ["completed"]
