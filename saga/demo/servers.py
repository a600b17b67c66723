"""The town over real servers: RabbitMQ, PostgreSQL, and each part of it a process of its own."""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from saga.bootstrap import apply_topology, open_store
from saga.core.definition import content_hash
from saga.define import Definition
from saga.demo import reference
from saga.demo.crew import Child
from saga.demo.town import STALLED_COMMAND
from saga.ports import StoredDefinition

CHARGING = "payments"


class ManyProcesses:
    """An orchestrator, four services, a carrier and a mail server, over a vhost and a database for them alone."""

    victim = "the process of payments"

    def __init__(self, folder: Path, *, amqp: str, postgres: str) -> None:
        self.folder = folder
        self.store = postgres
        self.bus = amqp
        self._environment = {"PYTHONPATH": os.pathsep.join([str(reference.folder()), os.environ.get("PYTHONPATH", "")])}
        self._world = {
            name: self._child(name, f"services.world.{name}", "--port", "0", "--books", str(folder / books))
            for name, books in (("carrier", "carrier.jsonl"), ("mailsink", "mail.jsonl"))
        }
        serve = ["saga.cli", "--amqp", amqp, "serve", "--database", postgres, "--migrate"]
        self._services = {
            name: self._child(name, *serve, f"services.{name}:participant") for name in reference.SERVICES
        }
        self._orchestrator = self._child("orchestrator", "saga.cli", "--amqp", amqp, "--store", postgres, "run")
        self._addresses: dict[str, str] = {}
        self._stall: dict[str, str] = {}

    @property
    def victim_pid(self) -> int:
        return self._services[CHARGING].pid

    def database(self, service: str) -> str:  # noqa: ARG002 - all of them share one here
        """A service's own database."""
        return self.store

    async def open(self) -> None:
        """Prepare store and broker, then start everything. Raises ChildFailed, Unavailable, SchemaMismatch."""
        await apply_topology(self.bus, reference.SERVICES)
        store = await open_store(self.store)
        try:
            await store.migrate()
            for definition in reference.definitions():
                await store.publish(_believing(definition, urlsplit(self.bus).username or "guest"))
        finally:
            await store.close()
        carrier, smtp = await asyncio.gather(*(child.start("ready on") for child in self._world.values()))
        self._addresses = {reference.CARRIER_URL: carrier.split()[3], reference.SMTP_URL: smtp.split()[3]}
        # One after the other: they share a database, and each makes its tables.
        for child in self._services.values():
            await child.start("participant started", **self._addresses)
        await self._orchestrator.start("orchestrator started")

    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        return {child.name: child.pid for child in self._children()}

    async def stall(self) -> Path:
        """Start payments anew, stalling."""
        await self._services[CHARGING].stop()
        runs = self.folder / "charges-run.txt"
        self._stall = {"SAGA_FAULT_STALL": STALLED_COMMAND, "SAGA_FAULT_STALL_FILE": str(runs)}
        await self.start_again()
        return runs

    async def kill(self) -> None:
        """kill -9 payments."""
        await self._services[CHARGING].kill()

    async def start_again(self) -> None:
        """Start payments as it was."""
        await self._services[CHARGING].start("participant started", **self._addresses, **self._stall)

    def check(self) -> None:
        """Raises ChildFailed."""
        for child in self._children():
            child.check()

    async def close(self) -> None:
        """Drain and end everything."""
        await asyncio.gather(*(child.stop() for child in self._children()))

    def _child(self, name: str, *command: str) -> Child:
        return Child(name, command, self.folder / f"{name}.log", self._environment)

    def _children(self) -> list[Child]:
        return [*self._world.values(), *self._services.values(), self._orchestrator]


def _believing(definition: Definition[Any, Any], user: str) -> StoredDefinition:
    """The definition, but every answer is believed that comes from this broker user: here one user plays all services.

    In life each service has a user of its own, and only that one is believed.
    """
    document = msgspec.json.decode(definition.canonical)
    _set_senders(document, [user])
    data = msgspec.json.encode(document, order="sorted")
    return StoredDefinition(content_hash(data), definition.name, definition.version, data)


def _set_senders(value: object, users: list[str]) -> None:
    if isinstance(value, dict):
        if "senders" in value:
            value["senders"] = users
        for inner in value.values():
            _set_senders(inner, users)
    elif isinstance(value, list):
        for inner in value:
            _set_senders(inner, users)
