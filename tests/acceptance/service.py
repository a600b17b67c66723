"""One participant on a vhost of its own, tried by `saga conform` and restarted by kill -9."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from saga.adapters.rabbitmq.topology import apply
from saga.bootstrap.brokers import open_bus
from saga.conform import Finding, Target, Verdict, conform
from saga.core.topology import wanted_topology
from saga.stores import CLOCK, IDS
from tests.servers.process import ServerProcess

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


class Service:
    """A process that says `started` when it serves."""

    def __init__(self, command: Sequence[str], folder: Path, **env: str) -> None:
        self._command = command
        self._folder = folder
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env}
        self._process: ServerProcess | None = None
        self.starts_count = 0

    @classmethod
    def python(cls, name: str, vhost: str, folder: Path, **env: str) -> Self:
        """A reference participant with its own SQLite file."""
        command = [sys.executable, "-m", "saga.cli", "--amqp", vhost, "serve", f"services.{name}:participant"]
        return cls([*command, "--migrate", "--database", f"sqlite:///{folder}/{name}.db"], folder, **env)

    @property
    def output(self) -> str:
        """What it wrote, over all its lives."""
        log = self._folder / "output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.starts_count += 1
        self._process = ServerProcess(self._command, folder=self._folder, env=self._env)
        self._process.wait_until(lambda: self.output.count("started") >= self.starts_count, seconds=START_SECONDS)
        return self

    def close(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill9()

    async def restart(self) -> None:
        """As a crash and a supervisor would."""
        self.close()
        await asyncio.to_thread(self.start)


async def declared(vhost: str, *services: str) -> str:
    """The vhost with the queues of these services."""
    await apply(vhost, wanted_topology(services))
    return vhost


async def tried(vhost: str, target: Target, restart: Callable[[], Awaitable[None]] | None = None) -> dict[str, Finding]:
    """Findings by rule, as the command line makes them."""
    bus = await open_bus(vhost, name="conform")
    try:
        findings = await conform(bus, target, clock=CLOCK, ids=IDS, restart=restart)
    finally:
        await bus.close()
    return {finding.rule.name: finding for finding in findings}


def not_kept(findings: dict[str, Finding]) -> dict[str, tuple[str, str]]:
    """What an assertion shows of everything but kept rules."""
    return {
        name: (finding.verdict.value, finding.reason)
        for name, finding in findings.items()
        if finding.verdict is not Verdict.KEPT
    }
