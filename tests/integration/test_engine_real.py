"""The engine over a real broker and a real database: one saga a key, outages waited out, a stop that loses nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from saga.client import Refused
from saga.core.topology import command_queue
from saga.wire import start_to_wire
from tests.integration.orders_place import READ_QUEUES, SERVICES, SOON, Place, RunProcess, order, until
from tests.proxy import FaultProxy, Mode
from tests.servers import PostgresServer, PrivatePostgres, PrivateRabbit, RabbitServer

ORDERS = 60
KILLS = 3


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


@contextmanager
def running(*processes: RunProcess) -> Iterator[None]:
    """Whatever happens, they end."""
    try:
        yield
    finally:
        for each in processes:
            each.process.kill9()


# ------------------------------------------------------------------------------------------------------- one saga a key


@pytest.mark.parametrize("key", ["k-1", None])
async def test_a_start_twice_from_two_connections_is_one_saga(place: Place, key: str | None) -> None:
    """Twenty starts at once from two connections at two orchestrators, with a key and with the definition's own: one
    saga, and everybody hears its id."""
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(place.orchestrating())
        callers = [await stack.enter_async_context(place.calling(name)) for name in ("one", "two")]
        started = await asyncio.gather(
            *(callers[number % 2].start("order", order(1), key=key, within=SOON) for number in range(20))
        )
        [row] = await place.rows()
        assert {each.saga for each in started} == {row.saga}
        assert [each.existing for each in started].count(False) == 1
        assert row.start_key == f"k:{key or 'o1'}"


async def test_a_repeated_message_without_any_key_is_one_saga(place: Place) -> None:
    """A definition that names no key: the same message, sent by a caller that heard nothing, starts nothing new."""
    async with place.orchestrating(), place.orchestrating(), place.calling() as caller, place.bus("again") as bus:
        started = await caller.start("note", order(1), within=SOON)
        await bus.publish([start_to_wire(started.message) for _ in range(10)])
        other = await caller.start("note", order(1), within=SOON)
        await place.emptied("saga.start")
        assert {row.saga for row in await place.rows()} == {started.saga, other.saga}


async def test_the_same_key_with_another_input_is_refused(place: Place) -> None:
    """The caller hears which saga has the key; the saga is not touched."""
    async with place.orchestrating(), place.calling("one") as one, place.calling("two") as two:
        first, second = await asyncio.gather(
            one.start("order", order(1), key="k", within=SOON),
            two.start("order", order(2), key="k", within=SOON),
            return_exceptions=True,
        )
        refused = first if isinstance(first, Refused) else second
        assert isinstance(refused, Refused)
        assert refused.code == "key-reused"
        [row] = await place.rows()
        assert row.saga in refused.reason


# ---------------------------------------------------------------------------------------------------- several processes


async def test_two_orchestrators_share_the_work(place: Place) -> None:
    """Every order completes, every step is asked once, histories have no gap, and no queue keeps anything."""
    async with place.serving() as seen, place.orchestrating() as one, place.orchestrating() as two:
        async with place.calling() as caller:
            ended = await asyncio.gather(*(caller.run("order", order(n), within=SOON) for n in range(ORDERS)))
        assert {each.status for each in ended} == {"completed"}
        assert len(seen) == len(set(seen)) == 2 * ORDERS
        assert min(one.health.commits, two.health.commits) > 0
        assert one.health.in_flight + two.health.in_flight == 0
        await place.emptied(*READ_QUEUES, *map(command_queue, SERVICES))
    async with place.store() as store:
        for row in await place.rows():
            assert [commit.version for commit in await store.history(row.saga)] == [1, 2, 3]
    assert await place.parked() == []


async def test_killed_in_between_nothing_is_lost(place: Place, tmp_path: Path) -> None:
    """A process is killed again and again while orders run; the other one and its successors finish all of them."""
    processes = [RunProcess(place, tmp_path / "steady"), RunProcess(place, tmp_path / "victim-0")]
    with running(*processes):
        async with place.serving() as seen, place.calling() as caller:
            await processes[0].ready()
            runs = []
            for number in range(KILLS):
                await processes[-1].ready()
                orders = range(number * ORDERS, (number + 1) * ORDERS)
                runs += [asyncio.create_task(caller.run("order", order(n), within=SOON * 2)) for n in orders]
                await processes[-1].until(lambda found: found["inputs"] > 0)
                processes[-1].process.kill9()
                processes.append(RunProcess(place, tmp_path / f"victim-{number + 1}"))
            ended = await asyncio.gather(*runs)
            processes[-1].process.kill9()
            await place.emptied(*READ_QUEUES, *map(command_queue, SERVICES))
        assert {each.status for each in ended} == {"completed"}
        assert len(set(seen)) == 2 * KILLS * ORDERS
        assert await processes[0].stop() == 0


async def test_sigterm_drains(place: Place, tmp_path: Path) -> None:
    """Under load the process leaves with 0 and says so; each start is a saga or still in the queue, never both lost."""
    process = RunProcess(place, tmp_path)
    with running(process):
        await process.ready()
        async with place.calling() as caller:
            starts = [asyncio.create_task(caller.start("order", order(n), within=SOON)) for n in range(ORDERS)]
            await until(lambda: any(start.done() for start in starts))
            assert await process.stop() == 0
            assert "orchestrator drained" in process.log
            assert "Traceback" not in process.log
            async with place.orchestrating():
                started = await asyncio.gather(*starts)
                await place.emptied("saga.start")  # a start that waited long was sent again
        assert len({each.saga for each in started}) == ORDERS
        assert len(await place.rows()) == ORDERS
        counts = await place.ready_counts(command_queue("reserve-service"))
        assert counts[command_queue("reserve-service")] >= ORDERS


async def test_sigterm_while_waiting_for_servers(tmp_path: Path) -> None:
    """Neither broker nor store is there: the process waits, and leaves at once when told."""
    process = RunProcess(Place("postgres://nobody@127.0.0.1:1/none", "amqp://guest:guest@127.0.0.1:1/"), tmp_path)
    with running(process):
        found = await process.until(lambda found: "could not connect" in str(found.get("missing")))
        assert found["status"] == 503
        assert await process.stop() == 0


# ------------------------------------------------------------------------------------------------------------ readiness


async def test_readiness_names_what_is_missing(database: str, vhost: str, rabbit: RabbitServer, tmp_path: Path) -> None:
    """Away broker, store without tables, missing queues: each is named with what to do, and nothing needs a restart."""
    async with FaultProxy(*_address(rabbit.url)) as network:
        network.mode = Mode.REFUSE
        place = Place(database, vhost)
        process = RunProcess(Place(database, network.url(vhost)), tmp_path)
        with running(process):
            found = await process.until(lambda found: "broker" in found.get("missing", ()))
            assert found["status"] == 503
            network.mode = Mode.PASS
            found = await process.until(lambda found: "migrate" in found.get("missing", {}).get("store", ""))
            async with place.store() as store:
                await store.migrate()
            found = await process.until(
                lambda found: "store" not in found["missing"] and "topology apply" in str(found["missing"])
            )
            assert set(found["missing"]) == {f"queue {queue}" for queue in READ_QUEUES}
            await place.prepare()
            await process.ready()
            network.mode = Mode.REFUSE
            network.reset()
            await process.until(lambda found: "queue saga.replies" in found.get("missing", ()))
            network.mode = Mode.PASS
            found = await process.ready()
            assert (found["status"], found["missing"]) == (200, {})
            assert await process.stop() == 0


async def test_a_service_without_a_queue_waits_and_goes_on(place: Place) -> None:
    """The wait reason names the service, nothing is compensated, and the order completes when the queue appears."""
    async with place.bus("deploy") as bus:
        channel = await bus._publish_link.open_channel(confirms=False)
        await channel.queue_delete(command_queue("charge-service"))
    async with place.orchestrating() as engine, place.serving("reserve-service"), place.calling() as caller:
        started = await caller.start("order", order(1), within=SOON)
        await until(lambda: engine.health.degraded)
        [row] = await place.rows()
        assert (row.status, row.wait_kind) == ("running", "delivery")
        assert "no queue for charge-service" in row.wait_text
        await place.declare()
        async with place.serving("charge-service"):
            assert (await caller.result(started, within=SOON)).status == "completed"
        assert engine.health.degraded == {}


# -------------------------------------------------------------------------------------------------------------- outages


@pytest.fixture(scope="module")
def private_rabbit() -> Iterator[PrivateRabbit]:
    """A broker to stop."""
    with PrivateRabbit() as broker:
        yield broker


@pytest.fixture(scope="module")
def private_postgres() -> Iterator[PrivatePostgres]:
    """A database to stop."""
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
async def frail(private_rabbit: PrivateRabbit, private_postgres: PrivatePostgres, unique_name: str) -> Place:
    """A place whose servers may go away."""
    place = Place(private_postgres.create_database(unique_name), private_rabbit.url)
    await place.prepare()
    await asyncio.to_thread(private_rabbit.keep_declarations)
    return place


async def test_servers_restart_while_the_process_lives(
    frail: Place, private_rabbit: PrivateRabbit, private_postgres: PrivatePostgres, tmp_path: Path
) -> None:
    """Broker and database are stopped and started in the middle of orders; the same process finishes all of them."""
    process = RunProcess(frail, tmp_path)
    with running(process):
        await process.ready()
        async with frail.serving(), frail.calling() as caller:
            runs = [asyncio.create_task(caller.run("order", order(n), within=SOON * 3)) for n in range(ORDERS)]
            await until(lambda: any(run.done() for run in runs))
            await asyncio.to_thread(private_postgres.stop)
            found = await process.until(lambda found: "store" in found.get("missing", ()))
            assert found["status"] == 503
            await asyncio.to_thread(private_postgres.start)
            await process.ready()
            runs += [asyncio.create_task(caller.run("order", order(n), within=SOON * 3)) for n in range(100, 110)]
            await asyncio.to_thread(private_rabbit.stop)
            await process.until(lambda found: "queue saga.start" in found.get("missing", ()))
            await asyncio.to_thread(private_rabbit.start)
            ended = await asyncio.gather(*runs)
        assert {each.status for each in ended} == {"completed"}
        await process.ready()
        assert len(process.log.splitlines()) < 200, "an outage is no reason to fill a disk"
        assert await process.stop() == 0
    assert await frail.parked() == []


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 5672


def test_the_servers_are_those_of_the_run(postgres: PostgresServer, rabbit: RabbitServer) -> None:
    """The versions these proofs are about."""
    print(f"PostgreSQL {postgres.version}, RabbitMQ {rabbit.version}")
    assert postgres.version
    assert rabbit.version
