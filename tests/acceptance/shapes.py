"""Sagas of every structure over real servers and processes that send their spans to a backend of ours.

The store's clock can be put forward: PostgreSQL finds `now()` and `clock_timestamp()` in a schema of ours before it
finds its own, and everything the engine calls time comes from those two.
"""

import asyncio
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from saga.adapters.rabbitmq.topology import apply
from saga.adapters.system import SystemIds
from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.client.reading import Approvals
from saga.core.pending import ApprovalDetail
from saga.core.spans import Span
from saga.core.topology import wanted_topology
from saga.stores import open_store
from tests.acceptance.evidence import rows
from tests.acceptance.fleet import Fleet
from tests.acceptance.hatchery import Hatchery
from tests.acceptance.structure import DO, LEDGER, Order
from tests.otlp import Backend, Received, read
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[2]
SOON_SECONDS: Final = 60.0
SOON: Final = timedelta(seconds=SOON_SECONDS)
EDITOR: Final = "bo"
ROOT_NAMES: Final = ("built", "letter")
MORTALS: Final = ("orchestrator-0", "orchestrator-1", "follower-0", "follower-1")
VIRTUAL_TIME: Final = (
    "create schema virtual",
    "create table virtual.clock (ahead interval not null)",
    "insert into virtual.clock values ('0')",
    """create function virtual.clock_timestamp() returns timestamptz volatile language sql
    as 'select pg_catalog.clock_timestamp() + ahead from virtual.clock'""",
    """create function virtual.now() returns timestamptz stable language sql
    as 'select pg_catalog.now() + ahead from virtual.clock'""",
)
ORDERS: Final = {
    "whole": ("built", Order(id="whole", items=[DO, DO, DO], slow=DO, last=DO)),
    "failing": ("built", Order(id="failing")),
    "letter": ("letter", Order(id="letter")),
}


class Shapes:
    """A store, a broker, a backend, and processes."""

    def __init__(self, folder: Path, postgres: PostgresServer, amqp: str, backend: Backend) -> None:
        number = time.time_ns()
        name = f"shapes_{number}"
        self.store = postgres.create_database(name)
        self.ledger = postgres.create_database(f"shapes_ledger_{number}")
        postgres.execute(f'alter database "{name}" set search_path = public, virtual, pg_catalog')
        self.amqp = amqp
        self.backend = backend
        self.folder = folder
        self.sagas: dict[str, str] = {}
        """Ids by order."""
        self._env = {
            **os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SAGA_AMQP": amqp, "SAGA_OTLP": backend.url,
        }  # fmt: skip
        self._people = {"SAGA_GATEWAYS": "guest", "SAGA_APPROVERS": f"{EDITOR}=editor", "SAGA_STORE": self.store}
        self.fleet = Fleet(folder, self._env)

    async def prepare(self) -> None:
        """A clock, tables, definitions, queues."""
        for database, statements in ((self.store, VIRTUAL_TIME), (self.ledger, (LEDGER,))):
            connection = await asyncpg.connect(database)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()
        await self.cli("db", "migrate")
        await self.cli("definitions", "publish", "tests.acceptance.structure")
        await apply(self.amqp, wanted_topology(["guest"]))

    async def open(self) -> None:
        """`saga run`, which follows too, and a service; wait until they work."""
        self.fleet.add("orchestrator", "saga.cli", "run", **self._people)
        self._serve()

    async def open_for_kills(self) -> Hatchery:
        """Two orchestrators and two followers that may die as often as anybody likes, and a service."""
        hatchery = Hatchery(self.folder, {**self._env, **self._people}, "saga.engine.worker")
        for name in MORTALS:
            hatchery.start(name, "tests.acceptance.impatient", name.partition("-")[0])
        self._serve()
        return hatchery

    def _serve(self) -> None:
        serve = ("serve", "tests.acceptance.structure:participant", "--migrate", "--database", self.ledger)
        self.fleet.add("participant", "saga.cli", *serve)
        self.fleet.start()
        for member in self.fleet.members.values():
            member.wait_for("started")

    async def start(self, which: str, number: int | None = None) -> None:
        """Start a saga; with a number it is one of several."""
        name, order = ORDERS[which]
        given = order if number is None else msgspec.structs.replace(order, id=f"{order.id}-{number}")
        bus = await open_bus(self.amqp, name="caller")
        client = Client(bus, SystemIds(), name="caller")
        try:
            started = await client.start(name, msgspec.json.encode(given), within=SOON)
            self.sagas[given.id] = started.saga
        finally:
            await client.close()
            await bus.close()

    async def days_pass(self, count: int, which: str) -> None:
        """Put the store's clock forward, a day at a time, and let the saga notice: each day brings a reminder."""
        for _ in range(count):
            seen = await self.recorded(which, "ApprovalReminded")
            await rows(self.store, "update virtual.clock set ahead = ahead + interval '1 day'")
            await self.until_recorded(which, "ApprovalReminded", seen + 1)

    async def recorded(self, which: str, event: str) -> int:
        """How many events of a kind its history has."""
        sql = "select convert_from(data, 'UTF8') from history where saga = $1"
        commits = await rows(self.store, sql, self.sagas[which])
        return sum(each["event"] == event for (data,) in commits for each in msgspec.json.decode(data))

    async def until_recorded(self, which: str, event: str, count: int = 1) -> None:
        """Wait for it."""
        async with asyncio.timeout(SOON_SECONDS):
            while await self.recorded(which, event) < count:
                await asyncio.sleep(0.05)

    async def asked(self, which: str) -> ApprovalDetail:
        """What somebody is to decide on."""
        store = await open_store(self.store)
        try:
            (found,) = [each for each in await Approvals(store).waiting() if each.saga == self.sagas[which]]
            return found
        finally:
            await store.close()

    async def approve(self, which: str) -> None:
        """The click of an editor, through a gateway."""
        asked = await self.asked(which)
        bus = await open_bus(self.amqp, name="desk")
        client = Client(bus, SystemIds(), name="desk")
        try:
            await client.approve(asked.saga, asked.path, digest=asked.digest, approver=EDITOR, within=SOON)
        finally:
            await client.close()
            await bus.close()

    async def ended(self) -> None:
        """Wait until no saga moves."""
        moving = "select count(*) from sagas where status not in ('completed', 'compensated', 'abandoned')"
        async with asyncio.timeout(SOON_SECONDS):
            while (await rows(self.store, moving))[0][0]:
                await asyncio.sleep(0.05)

    async def rebuilt(self, which: str) -> set[Span]:
        """Every span of a family, made again from its history; waits until the backend has all of them."""
        file = self.folder / f"{which}.otlp"
        await self.cli("trace", "export", self.sagas[which], "--to", str(file), "--format", "otlp")
        spans = {each.span for each in read(file.read_bytes())}
        async with asyncio.timeout(SOON_SECONDS):
            while not spans <= {each.span for each in self.trace(which)}:
                await asyncio.sleep(0.1)
        return spans

    def trace(self, which: str) -> list[Received]:
        """What the backend has of a family."""
        trace = self.sagas[which].replace("-", "")
        return [each for each in self.backend.received() if each.span.trace == trace]

    async def cli(self, *arguments: str) -> str:
        """A command of the command line; its output."""
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "saga.cli", *arguments, cwd=ROOT, env={**self._env, "SAGA_STORE": self.store},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, errors = await running.communicate()
        assert running.returncode == 0, errors.decode()
        return said.decode()
