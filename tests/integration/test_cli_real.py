"""The command line over real servers: exit codes that say how a saga ended, and several processes as one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from saga import wire
from tests.integration.orders_place import ROOT, SOON, SOON_SECONDS, Place, RunProcess, order
from tests.servers import PostgresServer, RabbitServer
from tests.servers.process import ServerProcess, descendants, lives
from tests.unit.participant.till import pay

SLOW_SECONDS = 60


class ServeProcess(RunProcess):
    """`saga serve`."""

    command = "serve"


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


async def saga(place: Place, *arguments: str) -> tuple[int, str, str]:
    """A command as a process of its own: exit code, output, errors."""

    def typed() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, *arguments]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=SLOW_SECONDS, check=False)

    done = await asyncio.to_thread(typed)
    return done.returncode, done.stdout, done.stderr


async def test_the_exit_code_says_how_it_ended(place: Place, rabbit: RabbitServer) -> None:
    """0 completed, 7 compensated, 4 refused, 3 not published, 124 not in time; the queue for answers goes by itself."""
    body = msgspec.json.encode(order(1)).decode()
    async with place.orchestrating(), place.serving():
        code, out, err = await saga(place, "start", "order", "--data", body, "--wait")
        assert (code, msgspec.json.decode(out)["status"]) == (0, "completed"), err
        code, out, _ = await saga(place, "start", "order", "--data", body)
        assert (code, msgspec.json.decode(out)["existing"]) == (0, True)
        code, _, err = await saga(place, "start", "order", "--data", '{"id":"o2"}', "--key", "o1")
        assert code == 4
        assert "key-reused" in err
        code, _, err = await saga(place, "start", "ordre", "--data", body)
        assert code == 3
        assert "published: note, order" in err
    async with place.orchestrating():
        code, _, err = await saga(place, "start", "order", "--data", '{"id":"o3"}', "--wait", "--timeout", "1")
        assert code == 124
        assert "saga show" in err
        waiting = asyncio.create_task(saga(place, "start", "order", "--data", '{"id":"o3"}', "--wait"))
        async with place.calling() as caller:
            await caller.cancel_by_key("order", "o3", "enough", within=SOON)
        async with place.serving():
            code, out, _ = await waiting
        assert (code, msgspec.json.decode(out)["status"]) == (7, "compensated")
    name = place.amqp.rpartition("/")[2]
    queues = await asyncio.to_thread(rabbit.ctl, "list_queues", "-p", name, "name", "arguments")
    results = [line for line in queues.splitlines() if line.startswith("saga.results.guest.cli-")]
    assert results
    assert all("60000" in line for line in results)


async def test_nobody_answers_a_start(place: Place) -> None:
    """Without an orchestrator: what the broker said, and what to do."""
    code, _, err = await saga(place, "start", "order", "--data", '{"id":"o1"}', "--timeout", "1")
    assert code == 124
    assert "confirmed" in err
    assert "saga run" in err


async def test_several_processes_are_supervised(place: Place, tmp_path: Path) -> None:
    """A child that dies is replaced; SIGTERM drains all of them."""
    command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, "run", "--processes", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = ServerProcess(command, folder=tmp_path, env=env)

    def started(count: int) -> bool:
        return process.log.read_text().count("orchestrator started") >= count

    try:
        await asyncio.to_thread(process.wait_until, lambda: started(2), seconds=SOON_SECONDS)
        victim = descendants(process.pid)[1]
        os.kill(victim, 9)
        await asyncio.to_thread(process.wait_until, lambda: started(3), seconds=SOON_SECONDS)
        async with place.serving(), place.calling() as caller:
            runs = [caller.run("order", order(number), within=SOON) for number in range(20)]
            assert {each.status for each in await asyncio.gather(*runs)} == {"completed"}
        await asyncio.to_thread(process.terminate)
        assert process.exit_code == 0
        log = process.log.read_text()
        assert f"orchestrator {victim} ended with -9" in log
        assert log.count("orchestrator drained") == 2
    finally:
        process.kill9()


async def test_what_is_supervised_ends_with_its_supervisor(place: Place, tmp_path: Path) -> None:
    """Killed with -9 it cannot tell anybody; its processes drain and leave all the same."""
    command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, "run", "--processes", "2"]
    process = ServerProcess(command, folder=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def drained() -> bool:
        return process.log.read_text().count("orchestrator drained") == 2

    try:
        await asyncio.to_thread(
            process.wait_until, lambda: process.log.read_text().count("orchestrator started") == 2, seconds=SOON_SECONDS
        )
        children = descendants(process.pid)[1:]
        os.kill(process.pid, 9)
        async with asyncio.timeout(SOON_SECONDS):
            while not drained() or any(map(lives, children)):
                await asyncio.sleep(0.05)
    finally:
        process.kill9()


async def test_definitions_are_published_once_the_store_is_there(database: str, vhost: str, tmp_path: Path) -> None:
    """`--publish` waits like everything else: the store is migrated after the process was started."""
    place = Place(database, vhost)
    await place.declare()
    process = RunProcess(place, tmp_path, "--publish", "services.ordering.definitions")
    try:
        await process.until(lambda found: "migrate" in found.get("missing", {}).get("store", ""))
        async with place.store() as store:
            await store.migrate()
        await process.ready()
        async with place.store() as store:
            assert [each.name for each in await store.named()] == ["order"]
    finally:
        process.process.kill9()


async def test_a_participant_is_ready_while_it_can_work(
    database: str, vhost: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Its queue is deleted and its database closed under the process: `/readyz` says which, until it is back."""
    place, name = Place(database, vhost), urlsplit(database).path[1:]
    await place.declare(["reserve-service"])
    process = ServeProcess(place, tmp_path, "--database", database, "--migrate", "tests.integration.metered:reserving")
    try:
        assert (await process.ready())["missing"] == {}
        async with place.bus("test") as bus:
            channel = await bus._publish_link.open_channel(confirms=False)
            await channel.queue_delete("saga.commands.reserve-service")
            gone = await process.until(lambda found: found.get("status") == 503)
            assert list(gone["missing"]) == ["queue saga.commands.reserve-service"]
            await place.declare(["reserve-service"])
            await process.ready()
            postgres.execute(f'alter database "{name}" allow_connections false')
            postgres.execute(f"select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'")
            reserve = msgspec.structs.replace(
                pay(), service="reserve-service", command="Reserve", body=b'{"order":"1"}'
            )
            await bus.publish([wire.command_to_wire(reserve)])
            gone = await process.until(lambda found: found.get("status") == 503)
            assert list(gone["missing"]) == ["database"]
            postgres.execute(f'alter database "{name}" allow_connections true')
            await process.ready()
    finally:
        process.process.kill9()
