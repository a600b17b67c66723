"""`saga watch` over real servers: as it happens, to the end, and off at any moment."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.integration.orders_place import ROOT, SOON, SOON_SECONDS, Place


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


@pytest.fixture
async def watching(place: Place) -> AsyncIterator[asyncio.subprocess.Process]:
    """`saga watch order/o1`, which a saga that is started and not served has to say something about."""
    async with place.orchestrating(), place.calling() as caller:
        await caller.start("order", {"id": "o1"}, within=SOON)
        command = [sys.executable, "-m", "saga.cli", "--store", place.dsn, "watch", "order/o1", "-o", "jsonl"]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def kind(process: asyncio.subprocess.Process) -> str:
    """The next event, as soon as it is printed."""
    assert process.stdout is not None
    async with asyncio.timeout(SOON_SECONDS):
        line = await process.stdout.readline()
    event: str = msgspec.json.decode(line)["event"]["event"]
    return event


async def test_each_event_comes_when_it_is_committed(place: Place, watching: asyncio.subprocess.Process) -> None:
    """Before the services are there, what was issued; afterwards the rest, and the exit code of a completed saga."""
    assert [await kind(watching) for _ in range(2)] == ["SagaStarted", "CommandIssued"]
    async with place.serving():
        kinds = []
        while "SagaCompleted" not in kinds:
            kinds.append(await kind(watching))
        assert await watching.wait() == 0
    assert kinds.count("StepSucceeded") == 2


async def test_the_exit_code_of_one_that_is_undone(place: Place, watching: asyncio.subprocess.Process) -> None:
    """7, as of a start that waits."""
    await kind(watching)
    async with place.calling("canceller") as caller:
        await caller.cancel_by_key("order", "o1", "enough", within=SOON)
    async with place.serving():
        async with asyncio.timeout(SOON_SECONDS):
            output, errors = await watching.communicate()
    assert (watching.returncode, errors) == (7, b"")
    assert b"SagaCompensated" in output.splitlines()[-1]


async def test_ctrl_c_leaves_it_alone(place: Place, watching: asyncio.subprocess.Process) -> None:
    """130 at once, without a traceback, and the saga goes on."""
    await kind(watching)
    watching.send_signal(signal.SIGINT)
    async with asyncio.timeout(SOON_SECONDS):
        _, errors = await watching.communicate()
    assert (watching.returncode, errors.strip()) == (130, b"aborted")
    assert [row.status for row in await place.rows(name="order")] == ["running"]
