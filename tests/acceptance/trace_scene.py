"""Real processes over real servers that send their spans to a backend of ours, and sagas of every fate."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from saga.adapters.rabbitmq.topology import apply
from saga.adapters.system import SystemIds
from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.core.topology import wanted_topology
from tests.acceptance.evidence import rows
from tests.acceptance.fleet import Fleet
from tests.acceptance.traced import SECRET, Order
from tests.otlp import Backend, Received
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[2]
SOON_SECONDS = 60.0
COMMAND_SECONDS_MAX = 30
CALLER = f"00-{'c' * 32}-{'d' * 16}-01"

FATES: dict[str, dict[str, str]] = {
    "completed": {},
    "retried": {"reserve": "retry"},
    "crashed": {"charge": "crash"},
    "compensated": {"ship": "decline"},
    "happened": {"charge": "slow"},
    "repaired": {"charge": "stuck"},
    "doubted": {"reserve": "doubt"},
}
"""What becomes of a saga by the behaviour of its steps; `repaired` and `doubted` need an operator."""


class Scene:
    """A store, a broker, a backend, and processes. `MODULE` has the definitions and the participant."""

    MODULE = "tests.acceptance.traced"
    SERVICE = "guest"

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        amqp: str,
        backend: Backend,
        *,
        password: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`password` stands in the addresses of the databases; `settings` are variables of every process."""
        self.folder = folder
        self.dsn = _with_password(postgres.create_database(f"traces_{time.time_ns()}"), password)
        self.amqp = amqp
        self.backend = backend
        self.sagas: dict[str, str] = {}
        """Ids by fate."""
        self._mended = folder / "mended"
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SAGA_AMQP": amqp,
            "SAGA_OTLP": backend.url,
            "SAGA_TRACE_SAMPLING": "quiet=0",
            "TRACED_MENDED": str(self._mended),
            **(settings or {}),
        }
        self._env = {**env, "SAGA_STORE": self.dsn}
        self._service = _with_password(postgres.create_database(f"traced_{time.time_ns()}"), password)
        self.fleet = Fleet(folder, env)
        self.of_orchestrator: dict[str, str] = {}
        self.of_participant: dict[str, str] = {}
        """Variables of one process alone."""

    def prepare(self) -> None:
        """Tables, definitions, queues."""
        self.cli("db", "migrate")
        self.cli("definitions", "publish", self.MODULE)
        asyncio.run(apply(self.amqp, wanted_topology([self.SERVICE])))

    def open(self) -> None:
        """Start an orchestrator that follows too, and the service; wait until they work."""
        self.fleet.add("orchestrator", "saga.cli", "run", SAGA_STORE=self.dsn, **self.of_orchestrator)
        self._open()

    def open_for_kills(self) -> None:
        """The same, but two of each, and those that follow apart from those that decide."""
        for number in (0, 1):
            for kind in ("orchestrator", "follower"):
                self.fleet.add(f"{kind}-{number}", "tests.acceptance.impatient", kind, SAGA_STORE=self.dsn)
        self._open()

    def _open(self) -> None:
        serve = ("serve", f"{self.MODULE}:participant", "--migrate", "--database", self._service)
        self.fleet.add("participant", "saga.cli", *serve, **self.of_participant)
        self.fleet.start()
        for member in self.fleet.members.values():
            member.wait_for("started")

    def cli(self, *arguments: str) -> str:
        """A command of the command line; its output."""
        command = [sys.executable, "-m", "saga.cli", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._env, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def start(self, fates: Sequence[str], name: str = "traced") -> None:
        """Start a saga of each fate."""
        bus = await open_bus(self.amqp, name="caller")
        client = Client(bus, SystemIds(), name="caller")
        try:
            for fate in fates:
                order = Order(id=f"{name}-{fate}-{SECRET}", **FATES[fate])
                started = await client.start(name, msgspec.json.encode(order))
                self.sagas[f"{name}-{fate}" if name != "traced" else fate] = started.saga
        finally:
            await client.close()
            await bus.close()

    async def ended(self, *, parked: int = 0) -> None:
        """Wait until no saga moves; so many stand in front of an operator then."""
        moving = "select count(*) from sagas where status in ('running', 'compensating')"
        standing = "select count(*) from sagas where status = 'parked'"
        async with asyncio.timeout(SOON_SECONDS):
            while (await self._count(moving), await self._count(standing)) != (0, parked):
                await asyncio.sleep(0.05)

    async def _count(self, sql: str) -> int:
        return int((await rows(self.dsn, sql))[0][0])

    def mend(self) -> None:
        """What stood in the way is gone."""
        self._mended.touch()

    async def exported(self, count: int) -> None:
        """Wait until the backend has the saga span of so many sagas."""
        async with asyncio.timeout(SOON_SECONDS):
            while len({each.span.trace for each in self.backend.received() if each.span.name in NAMES}) < count:
                await asyncio.sleep(0.05)

    def trace(self, fate: str) -> list[Received]:
        """What the backend has of a saga."""
        trace = self.sagas[fate].replace("-", "")
        return [each for each in self.backend.received() if each.span.trace == trace]

    def everything_sent(self) -> bytes:
        """Every byte the backend was sent."""
        return b"".join(self.backend.requests)

    def everything_measured(self) -> bytes:
        """Every byte of metrics that the backend was sent."""
        return b"".join(self.backend.metric_requests)

    def logs(self) -> str:
        """What the processes wrote."""
        return "".join(member.output for member in self.fleet.members.values())

    def close(self) -> None:
        """End everything."""
        self.fleet.close()


NAMES = ("traced", "quiet", "hushed", "asked")


def _with_password(dsn: str, password: str) -> str:
    scheme, _, rest = dsn.partition("://")
    user, _, place = rest.partition("@")
    return f"{scheme}://{user.partition(':')[0]}:{password}@{place}" if password else dsn


def history(scene: Scene, fate: str) -> list[dict[str, Any]]:
    """Its commits."""
    found: list[dict[str, Any]] = msgspec.json.decode(scene.cli("history", scene.sagas[fate], "-o", "json"))
    return found
