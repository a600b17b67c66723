"""Readiness of a serving process: what is away is missing, and what is back is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.core.topology import wanted_topology
from saga.participant import run
from saga.participant.health import STARTING, Health
from saga.participant.loop import ASK_EVERY
from saga.ports import Database, Transaction
from tests.unit.participant.till import QUEUE, Clock, Till, pay

AWAY = "ConnectionError: connection refused"


class Switched:
    """A database that is away while it is told to be."""

    dialect: Any = "sqlite"

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.away = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        if self.away:
            raise ConnectionError("connection refused")
        async with self._inner.begin() as tx:
            yield tx


class HalfAway(Switched):
    """One that lets no new connection in, while those that handlers never get are still open."""

    @asynccontextmanager
    async def begin_short(self) -> AsyncIterator[Transaction]:
        async with self._inner.begin() as tx:
            yield tx


class Minutes(Clock):
    """A clock whose minutes pass when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.minute = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds == ASK_EVERY.total_seconds():
            await self.minute.wait()
            self.minute.clear()
        else:
            await super().sleep(seconds)


async def until_missing(health: Health, missing: dict[str, str]) -> None:
    """As soon as it says so."""
    async with asyncio.timeout(5):
        while health.missing != missing:
            await asyncio.sleep(0)


@asynccontextmanager
async def at_work(till: Till) -> AsyncIterator[Health]:
    """Serving."""
    stop, health = asyncio.Event(), Health(QUEUE)
    serving = asyncio.create_task(run(till.serving, till.bus, stop, health=health))
    yield health
    stop.set()
    await serving


async def test_a_database_that_a_command_finds_away(database: SqliteDatabase) -> None:
    """It is missing until it answers; then the command is answered too."""
    switched = Switched(database)
    till = Till(switched)
    async with at_work(till) as health:
        await until_missing(health, {})
        switched.away = True
        await till.send(wire.command_to_wire(pay()))
        await until_missing(health, {"database": AWAY})
        switched.away = False
        await until_missing(health, {})
        assert len(await till.replies()) == 1


@pytest.mark.parametrize("kind", [Switched, HalfAway])
async def test_a_process_without_work_notices_too(database: SqliteDatabase, kind: type[Switched]) -> None:
    """It asks every minute, as a handler would, and oftener while there is no answer."""
    switched = kind(database)
    till = Till(switched)
    till.serving.clock = clock = Minutes()
    async with at_work(till) as health:
        await until_missing(health, {})
        switched.away = True
        clock.minute.set()
        await until_missing(health, {"database": AWAY})
        switched.away = False
        await until_missing(health, {})


async def test_a_queue_that_is_not_there_is_missing(database: SqliteDatabase) -> None:
    """From the start, and when it is deleted under the process."""
    till = Till(database, topology=wanted_topology([]))
    assert Health(QUEUE).missing == {f"queue {QUEUE}": STARTING}
    async with at_work(till) as health:
        await till.clock.slept.wait()
        assert health.missing[f"queue {QUEUE}"].startswith("no queue")
        till.broker.apply(wanted_topology(["bank"]))
        await until_missing(health, {})
        till.broker.delete_queue(QUEUE)
        assert list(health.missing) == [f"queue {QUEUE}"]
        till.broker.apply(wanted_topology(["bank"]))
        await until_missing(health, {})
