"""The town over real servers: RabbitMQ, PostgreSQL, and each part of it a process of its own."""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from saga.bootstrap.brokers import apply_topology
from saga.core.definition import content_hash
from saga.define import Definition
from saga.demo import reference
from saga.demo.crew import Child
from saga.demo.town import people, runs_of, stalling
from saga.ports import StoredDefinition
from saga.stores import open_store


class ManyProcesses:
    """An orchestrator, the services of a piece and its outside world, over a vhost and a database for them alone."""

    def __init__(self, folder: Path, piece: str, *, amqp: str, postgres: str) -> None:
        self.folder = folder
        self.store = postgres
        self.bus = self.gateway = amqp
        self._piece = reference.PIECES[piece]
        self._name = piece
        self._user = urlsplit(amqp).username or "guest"
        self._environment = {"PYTHONPATH": os.pathsep.join([str(reference.folder()), os.environ.get("PYTHONPATH", "")])}
        self._world = {
            name: self._child(
                name, f"services.world.{name}", "--port", "0", "--books", str(folder / reference.WORLD[name].books)
            )
            for name in self._piece.world
        }
        serve = ["saga.cli", "--amqp", amqp, "serve", "--database", postgres, "--migrate"]
        self._services = {
            name: self._child(name, *serve, f"services.{name}:participant") for name in self._piece.services
        }
        self._orchestrator = self._child("orchestrator", "saga.cli", "--amqp", amqp, "--store", postgres, "run")
        self._addresses: dict[str, str] = {}
        self._victim = ""
        self._stall: dict[str, str] = {}

    @property
    def victim(self) -> str:
        """What is killed, in words."""
        return f"the process of {self._victim}"

    @property
    def victim_pid(self) -> int:
        return self._services[self._victim].pid

    def database(self, service: str) -> str:  # noqa: ARG002 - all of them share one here
        """A service's own database."""
        return self.store

    async def open(self) -> None:
        """Prepare store and broker, then start everything. Raises ChildFailed, Unavailable, SchemaMismatch."""
        await apply_topology(self.bus, self._piece.services)
        store = await open_store(self.store)
        try:
            await store.migrate()
            renamed: dict[str, str] = {}
            for definition in reference.definitions([self._name]):
                for member in definition.family():
                    await store.publish(_believing(member, self._user, renamed))
        finally:
            await store.close()
        lines = await asyncio.gather(*(child.start("ready on") for child in self._world.values()))
        for name, line in zip(self._world, lines, strict=True):
            self._addresses[reference.WORLD[name].address] = line.split()[3]
        # One after the other: they share a database, and each makes its tables.
        for child in self._services.values():
            await child.start("participant started", **self._addresses)
        await self._orchestrator.start("orchestrator started", **people(self._name, self._user))

    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        return {child.name: child.pid for child in self._children()}

    async def stall(self, service: str, command: str) -> Path:
        """Start this service anew, stalling."""
        self._victim = service
        await self._services[service].stop()
        runs = runs_of(self.folder, service, command)
        self._stall = stalling(command, runs)
        await self.start_again()
        return runs

    async def kill(self) -> None:
        """kill -9 the victim."""
        await self._services[self._victim].kill()

    async def start_again(self) -> None:
        """Start the victim as it was."""
        await self._services[self._victim].start("participant started", **self._addresses, **self._stall)

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


def _believing(definition: Definition[Any, Any], user: str, renamed: dict[str, str]) -> StoredDefinition:
    """The definition, but every answer is believed that comes from this broker user: here one user plays all services.

    In life each service has a user of its own, and only that one is believed. `renamed` keeps the new hash of each
    sub-saga for those that start it.
    """
    document = msgspec.json.decode(definition.canonical)
    _set_senders(document, [user])
    data = msgspec.json.encode(document, order="sorted")
    for old, new in renamed.items():
        data = data.replace(old.encode(), new.encode())
    renamed[definition.hash] = content_hash(data)
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
