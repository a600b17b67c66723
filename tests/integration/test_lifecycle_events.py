"""Lifecycle events over real servers: whoever follows and whatever dies, a subscriber hears what the journal says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from saga import wire
from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core import events
from saga.core.evolve import evolve_commit
from saga.core.lifecycle import lifecycle
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.core.state import SagaState
from saga.core.topology import EVENTS, EXCHANGES, Binding, Queue, Topology, command_queue
from saga.ports import Delivery, Outgoing
from saga.settings import Settings
from saga.wire import LifecycleBody
from tests.builders import reply
from tests.integration.orders_place import ORDER, SERVICES, SOON, SOON_SECONDS, Place, RunProcess, order, until
from tests.proxy import FaultProxy, Mode
from tests.servers import RabbitServer

QUEUE = "saga.events.shop.all"
SAGAS = 200
SOME = 30
DECLINED_EACH = 4
"""Every so many orders the charge is declined."""


class FollowProcess(RunProcess):
    """`saga follow` as a process of its own."""

    command = "follow"


class Subscriber:
    """Hears everything, in the order in which it arrives."""

    def __init__(self) -> None:
        self.heard: list[Delivery] = []

    async def listen(self, bus: RabbitBus) -> None:
        """For ever."""
        subscription = await bus.consume(QUEUE, 1_000)
        while True:
            deliveries = await subscription.receive()
            self.heard += deliveries
            await subscription.settle(deliveries)

    @property
    def ids(self) -> set[str]:
        """Of everything heard."""
        return {delivery.message_id for delivery in self.heard}

    def first_of(self, saga: str) -> list[LifecycleBody]:
        """What was heard of a saga, repetitions left out."""
        once: dict[str, Delivery] = {}
        for delivery in self.heard:
            if delivery.correlation_id == saga:
                once.setdefault(delivery.message_id, delivery)
        return [msgspec.json.decode(each.body, type=LifecycleBody) for each in once.values()]


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker, with a subscriber's queue."""
    place = Place(database, vhost)
    await place.prepare()
    topology = Topology(EXCHANGES, (Queue(QUEUE),), (Binding(EVENTS, QUEUE, "#"),))
    await apply(vhost, topology)
    return place


@asynccontextmanager
async def shop(place: Place) -> AsyncIterator[Subscriber]:
    """An orchestrator, services of which one declines some orders, and a subscriber. Nobody follows yet."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(place.orchestrating())
        subscriber = Subscriber()
        buses = [await stack.enter_async_context(place.bus(name)) for name in (*SERVICES, "subscriber")]
        works = [asyncio.create_task(_serve(bus, service)) for bus, service in zip(buses, SERVICES, strict=False)]
        works.append(asyncio.create_task(subscriber.listen(buses[-1])))
        try:
            yield subscriber
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)


async def _serve(bus: RabbitBus, service: str) -> None:
    subscription = await bus.consume(command_queue(service), 200)
    while True:
        commands = await subscription.receive()
        await bus.publish([_answer(command) for command in commands])
        await subscription.settle(commands)


def _answer(delivery: Delivery) -> Outgoing:
    command = wire.command_from_wire(delivery)
    declined = int(command.business_key[1:]) % DECLINED_EACH == 0
    if declined and command.service == "charge-service" and command.kind is Kind.ACTION:
        return wire.reply_to_wire(reply(command, Outcome.FAILED, code="Declined"))
    return wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED))


async def run(place: Place, orders: Sequence[int]) -> None:
    """Orders, until each has ended."""
    async with place.calling() as caller:
        await asyncio.gather(*(caller.run("order", order(number), within=SOON) for number in orders))


async def journal_tells(place: Place) -> set[str]:
    """The ids of everything the journal has to tell."""
    told: set[str] = set()
    async with place.store() as store:
        for row in await place.rows():
            state: SagaState | None = None
            for commit in await store.history(row.saga):
                found = events.decode(commit.data)
                before, state = state, evolve_commit(state, found)
                told |= {event.id for event in lifecycle(ORDER, before, state, found, commit.at)}
    return told


async def check(place: Place, subscriber: Subscriber) -> None:
    """Nothing is missing, nothing is invented, and each saga's events come in the order of its versions."""
    wanted = await journal_tells(place)
    async with asyncio.timeout(2 * SOON_SECONDS):
        while not wanted <= subscriber.ids:
            await asyncio.sleep(0.02)
    assert subscriber.ids == wanted
    for row in await place.rows():
        heard = subscriber.first_of(row.saga)
        versions = [each.version for each in heard]
        assert versions == sorted(versions)
        assert (heard[0].moment, heard[0].version) == ("started", 1)
        assert (heard[-1].moment, heard[-1].version, heard[-1].status) == ("ended", row.version, row.status)
        moments = [str(each.moment) for each in heard]
        declined = int(row.start_key.removeprefix("k:o")) % DECLINED_EACH == 0
        assert moments == (["started", "compensating", "ended"] if declined else ["started", "ended"])


@pytest.mark.timeout(180)
async def test_a_subscriber_hears_what_the_journal_says(place: Place, tmp_path: Path) -> None:
    """200 orders beside two followers: every event of the journal and no other, once, though one was stopped."""
    first, second = FollowProcess(place, tmp_path / "first"), FollowProcess(place, tmp_path / "second")
    try:
        async with shop(place) as subscriber:
            await first.ready()
            await second.ready()
            await run(place, range(SAGAS // 2))
            assert await first.stop() == 0
            await run(place, range(SAGAS // 2, SAGAS))
            await check(place, subscriber)
            assert await second.stop() == 0
        assert len(subscriber.heard) == len(subscriber.ids)
        assert "Traceback" not in first.log + second.log
    finally:
        first.process.kill9()
        second.process.kill9()


@pytest.mark.timeout(180)
async def test_a_killed_follower_is_replaced(place: Place, tmp_path: Path) -> None:
    """The one at work is killed in the middle of the orders: the one that stood by goes on, and nothing is lost."""
    first = FollowProcess(place, tmp_path / "first")
    second: FollowProcess | None = None
    try:
        async with shop(place) as subscriber:
            await first.until(lambda found: found.get("ready"))
            second = FollowProcess(place, tmp_path / "second")
            found = await second.ready()
            assert found["following"]["lifecycle"]["state"] == "elsewhere"
            orders = asyncio.create_task(run(place, range(SAGAS)))
            await until(lambda: subscriber.heard)
            first.process.kill9()
            await orders
            await check(place, subscriber)
            assert second.readiness()["following"]["lifecycle"]["state"] != "elsewhere"
    finally:
        first.process.kill9()
        if second is not None:
            second.process.kill9()


async def test_a_follower_that_may_not_log_in_is_not_ready(place: Place, tmp_path: Path) -> None:
    """Though there is nothing to publish yet: it says what is missing, and leaves when told to."""
    process = FollowProcess(Place(place.dsn, place.amqp.replace("//guest:guest@", "//guest:wrong@")), tmp_path)
    try:
        found = await process.until(lambda found: "Login was refused" in found.get("missing", {}).get("broker", ""))
        assert (found["status"], found["ready"]) == (503, False)
        assert "waiting" in process.log
        assert "wrong" not in process.log
        assert await process.stop() == 0
        assert "follower started" not in process.log
    finally:
        process.process.kill9()


@pytest.mark.timeout(180)
async def test_a_broker_that_was_away_hears_everything_afterwards(
    place: Place, rabbit: RabbitServer, tmp_path: Path
) -> None:
    """The follower alone cannot reach it: sagas go on as if nothing were, and what was not told is told later."""
    host, port = rabbit.url.rpartition("@")[2].split("/")[0].split(":")
    async with FaultProxy(host, int(port)) as network:
        apart = Place(place.dsn, network.url(place.amqp))
        process = FollowProcess(apart, tmp_path)
        try:
            async with shop(place) as subscriber:
                await process.ready()
                await run(place, range(SOME))
                await until(lambda: len(subscriber.ids) >= 2 * SOME)
                network.mode = Mode.REFUSE
                network.reset()
                await run(place, range(SOME, 2 * SOME))
                found = await process.until(lambda found: not found["ready"])
                assert "trouble" in found["following"]["lifecycle"]
                network.mode = Mode.PASS
                await process.ready()
                await check(place, subscriber)
        finally:
            process.process.kill9()


@pytest.mark.timeout(120)
async def test_an_orchestrator_tells_by_default(place: Place, tmp_path: Path) -> None:
    """`saga run` alone is enough, beside one that was told not to."""
    processes = [RunProcess(place, tmp_path / "loud"), RunProcess(place, tmp_path / "quiet", "--no-follow")]
    try:
        async with shop(place) as subscriber:
            reports = [await process.ready() for process in processes]
            assert [list(report["following"]) for report in reports] == [["lifecycle"], []]
            await run(place, range(SOME))
            await check(place, subscriber)
        assert [await process.stop() for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.process.kill9()


def test_following_is_the_default() -> None:
    """A setting turns it off."""
    assert Settings().follow
