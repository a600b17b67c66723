"""What people, callers and a hostile peer say to the sagas of `hushed`, each with a secret of its own."""

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aio_pika
import msgspec

from saga.adapters.system import SystemIds
from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.core.identity import anchor_id, traceparent
from saga.core.messages import Kind, Outcome, ReplyEffect, ReplyMessage
from saga.wire import reply_to_wire
from tests.acceptance.hushed import SERVICE, Order, hush
from tests.acceptance.trace_scene import COMMAND_SECONDS_MAX, ROOT, SOON_SECONDS, Scene
from tests.otlp import Backend
from tests.servers import PostgresServer
from tests.servers.binaries import free_port

FATES = {
    "completed": "ok",
    "retried": "late",
    "crashed": "crash",
    "failed": "decline",
    "parked": "stuck",
    "doubted": "doubt",
    "refused": "objection",
}
ASKED = ("approved", "rejected", "cancelled")
QUEUES_COUNT = 4
"""Starts, signals, replies and commands."""
PARKED_COUNT = 3
"""`parked`, `doubted` and `refused`."""
TROUBLE = "503"
"""The status with which the backend refuses."""


class Hushed(Scene):
    """Its processes tell everything they would tell anybody: logs of every level, metrics, traces."""

    MODULE = "tests.acceptance.hushed"
    SERVICE = SERVICE

    def __init__(self, folder: Path, postgres: PostgresServer, amqp: str, backend: Backend, **settings: str) -> None:
        told = {
            "SAGA_OTLP": backend.url.replace("//", f"//me:{hush('otlp')}@"),
            "SAGA_OTLP_HEADERS": f"authorization=Bearer {hush('otlp-header')}",
            "SAGA_METRICS_INTERVAL": "1",
            "SAGA_LOG_LEVEL": "debug",
            "SAGA_APPROVERS": "ann=editor",
            **settings,
        }
        super().__init__(folder, postgres, amqp, backend, password=hush("postgres"), settings=told)
        self.pages: dict[str, str] = {}
        self.pages_of_trouble: dict[str, str] = {}
        """What the endpoints said, by address."""
        self.ports = free_port(), free_port()
        for port, variables in zip(self.ports, (self.of_orchestrator, self.of_participant), strict=True):
            variables["SAGA_HEALTH"] = f"127.0.0.1:{port}"

    async def begin(self, **fates: str) -> None:
        """Start a saga of each fate: definition by fate."""
        bus = await open_bus(self.amqp, name="caller")
        client = Client(bus, SystemIds(), name="caller")
        try:
            for fate, definition in fates.items():
                order = Order(id=f"{fate}-{hush('key')}", how=FATES.get(fate, "ok"))
                started = await client.start(definition, msgspec.json.encode(order), actor=hush("actor"))
                self.sagas[fate] = started.saga
        finally:
            await client.close()
            await bus.close()

    async def say(self, *arguments: str) -> str:
        """A command of the command line."""
        return await asyncio.to_thread(self.cli, *arguments)

    async def waits(self, kind: str, fates: tuple[str, ...]) -> None:
        """Wait until these sagas wait for something of this kind."""
        wanted = {self.sagas[fate] for fate in fates}
        async with asyncio.timeout(SOON_SECONDS):
            while not wanted <= set((await self.say("list", "--wait-kind", kind, "-o", "id")).split()):
                await asyncio.sleep(0.2)

    async def people(self) -> None:
        """A signal, decisions with a reason and a changed input, a cancellation."""
        await self.waits("signal", ASKED)
        for fate in ASKED:
            paid = msgspec.json.encode({"secret": hush("signal")}).decode()
            await self.say("signal", self.sagas[fate], "paid", "--data", paid)
        await self.waits("approval", ASKED)
        for fate, verb in (("approved", "approve"), ("rejected", "reject")):
            place = (self.sagas[fate], "review")
            digest = (await self.say("approvals", "show", *place, "-o", "id")).strip()
            subject = {"id": f"{fate}-{hush('key')}", "how": "ok", "note": hush("edited")}
            edit = ("--edit", msgspec.json.encode(subject).decode()) if verb == "approve" else ()
            who = ("--digest", digest, "--actor", "ann", "--reason", hush("decision"))
            await self.say("approvals", verb, *place, *edit, *who)
        await self.say("cancel", self.sagas["cancelled"], "--actor", "ann", "--reason", hush("cancel"))

    async def operators(self) -> None:
        """What stands in front of them is moved, with reasons and evidence."""
        await self.ended(parked=PARKED_COUNT)
        self.mend()
        about = ("--actor", "ann", "--reason", hush("reason"))
        await self.say("resolve", self.sagas["parked"], "reserve", "retry", *about)
        await self.say(
            "resolve", self.sagas["doubted"], "reserve", "not-applied", "--evidence", hush("evidence"), *about
        )
        await self.ended(parked=2)
        await self.say("abandon", self.sagas["doubted"], "--yes", *about)
        await self.say("abandon", self.sagas["refused"], "--yes", *about)

    async def peers(self) -> None:
        """Messages that nobody can use: their bodies, headers and properties are parked with them."""
        connection = await aio_pika.connect(self.amqp)
        async with connection:
            channel = await connection.channel()
            headers: Any = {"x-secret": hush("header"), "saga-actor": hush("actor"), "saga-key": hush("key")}
            properties: Any = {"message_id": hush("message-id"), "correlation_id": hush("correlation-id")}
            for exchange, key in (
                ("saga.start", "no-such"),
                ("saga.start", "hushed"),
                ("saga.signals", "hushed"),
                ("saga.replies", f"{SERVICE}.ok"),
                ("saga.commands", f"{SERVICE}.Reserve.v1"),
                ("saga.parking", f"saga.commands.{SERVICE}"),
            ):
                place = await channel.get_exchange(exchange, ensure=False)
                for body in (f'{{"id": "{hush("body")}"', f'{{"id": 5, "secret": "{hush("body")}"}}'):
                    message = aio_pika.Message(
                        body.encode(), headers=headers, user_id=SERVICE, type=hush("type"), **properties
                    )
                    await place.publish(message, key)

    async def liar(self) -> None:
        """An answer to what was never asked, for a saga that is there."""
        reply = forged(self.sagas["approved"])
        bus = await open_bus(self.amqp, name="liar")
        try:
            (sent,) = await bus.publish([reply_to_wire(reply)])
            assert sent.outcome == "confirmed"
        finally:
            await bus.close()

    async def poisoned(self) -> None:
        """Wait until messages are parked of each queue that they were sent to."""
        async with asyncio.timeout(SOON_SECONDS):
            while await self._count("select count(distinct origin) from parked") < QUEUES_COUNT:
                await asyncio.sleep(0.1)

    async def troubled(self) -> None:
        """Wait until a page says that the backend refuses, and keep what all of them say then."""
        async with asyncio.timeout(SOON_SECONDS):
            while not any(TROUBLE in page for page in self.pages_of_trouble.values()):
                self.pages_of_trouble = await asyncio.to_thread(self.shown)
                await asyncio.sleep(0.05)

    def shown(self) -> dict[str, str]:
        """What the endpoints of both processes say."""
        found: dict[str, str] = {}
        for port in self.ports:
            for page in ("healthz", "readyz", "metrics"):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
                        found[f"{port}/{page}"] = answer.read().decode()
                except urllib.error.HTTPError as error:
                    found[f"{port}/{page}"] = error.read().decode()
        return found

    def said(self, *arguments: str, **environment: str) -> str:
        """Everything that a command writes, whether it succeeds or not."""
        done = subprocess.run(
            [sys.executable, "-m", "saga.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **self._env, **environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        return done.stdout + done.stderr


def forged(saga: str) -> ReplyMessage:
    """An answer to an attempt that never was."""
    return ReplyMessage(
        saga=saga,
        path="reserve",
        kind=Kind.ACTION,
        execution=1,
        attempt=7,
        key="1" * 32,
        in_reply_to="2" * 32,
        service=SERVICE,
        outcome=Outcome.RETRY,
        effect=ReplyEffect.NONE,
        type="",
        body=b"",
        code=f"no word {hush('code')}",
        message=hush("later"),
        traceparent=traceparent(saga, anchor_id(saga)),
    )
