"""Makes the broker worse than it is: duplicates, delays and loses commands and replies on the real topology.

It touches nothing of the topology and needs nothing of the engine. Two ways in:

- *copies*: a queue of its own, bound beside the real ones, hears every command and reply. Some are published once more
  after a while, byte for byte: duplicates, also of what was long since settled. What goes by is counted.
- *thefts*: it consumes from the real queues beside their owners. What it is handed, it loses or publishes again later.

A reply carries its service's `user_id`, and the broker refuses it from anybody else (406, and the channel is gone). So
the gremlin's user needs the tag `impersonator`; `administrator` does not do (measured on RabbitMQ 3.10.8).
"""

import argparse
import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiormq
import msgspec
from aiormq.abc import AbstractChannel, DeliveredMessage

MARK = "x-gremlin"
"""Header of what it published: not to be copied again."""
EXCHANGES = ("saga.commands", "saga.replies")
RECONNECT_SECONDS = 0.3
BROKER_SECONDS_MAX = 5.0
PAUSE_SECONDS_MIN = 0.05
"""What nobody else takes comes back to us: this keeps that from being a busy loop."""
THEFTS_AT_ONCE = 4


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """What it does to messages; shares from 0 to 1."""

    duplicate_rate: float = 0.1
    """Of all commands and replies."""
    lose_rate: float = 0.3
    """Of what it steals; the rest is delayed."""
    delay_seconds_max: float = 3.0
    steal_from: tuple[str, ...] = ()
    """Queues it competes for."""
    never_lose: tuple[str, ...] = ("notifications",)
    """Services whose commands and replies are not lost: nobody could tell a loss there from a doubt."""
    seed: int | None = None


class Gremlin:
    """One run of mischief; survives the broker."""

    def __init__(self, url: str, mischief: Mischief) -> None:
        self._url = url
        self._mischief = mischief
        self._chance = random.Random(mischief.seed)
        self._unknown_keys: set[str] = set()
        self.ready = asyncio.Event()
        """Set when it first hears and takes what it is meant to."""
        self.counts: Counter[str] = Counter()
        """What it did (`duplicated`, `lost`, `delayed`) and what it saw go by."""

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            with contextlib.suppress(OSError, aiormq.exceptions.AMQPError, asyncio.TimeoutError):
                await self._session()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _session(self) -> None:
        connection = await asyncio.wait_for(aiormq.connect(self._url), BROKER_SECONDS_MAX)
        tasks: set[asyncio.Task[None]] = set()
        try:
            publishing = await connection.channel(publisher_confirms=True)
            ends = [publishing.closing, connection.closing]
            ends.append((await self._watch(await connection.channel(), publishing, tasks)).closing)
            ends += [
                (await self._steal(await connection.channel(), queue, publishing, tasks)).closing
                for queue in self._mischief.steal_from
            ]
            self.ready.set()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.close(), BROKER_SECONDS_MAX)

    async def _watch(
        self, channel: AbstractChannel, publishing: AbstractChannel, tasks: set[asyncio.Task[None]]
    ) -> AbstractChannel:
        """Hear copies of everything."""
        declared = await channel.queue_declare(exclusive=True, auto_delete=True)
        queue = declared.queue or ""
        for exchange in EXCHANGES:
            await channel.queue_bind(queue, exchange, "#")

        async def heard(message: DeliveredMessage) -> None:
            self._note(message)
            if MARK not in _headers(message) and self._chance.random() < self._mischief.duplicate_rate:
                self._later(tasks, self._duplicate(publishing, message))

        await channel.basic_consume(queue, heard, no_ack=True)
        return channel

    async def _steal(
        self, channel: AbstractChannel, queue: str, publishing: AbstractChannel, tasks: set[asyncio.Task[None]]
    ) -> AbstractChannel:
        """Take what is handed to us from somebody else's queue."""
        await channel.basic_qos(prefetch_count=THEFTS_AT_ONCE)

        async def taken(message: DeliveredMessage) -> None:
            self._later(tasks, self._mistreat(channel, publishing, message))

        await channel.basic_consume(queue, taken)
        return channel

    async def _duplicate(self, publishing: AbstractChannel, message: DeliveredMessage) -> None:
        await self._pause()
        await _publish(publishing, message)
        self.counts["duplicated"] += 1

    async def _mistreat(self, channel: AbstractChannel, publishing: AbstractChannel, message: DeliveredMessage) -> None:
        tag = getattr(message.delivery, "delivery_tag", 0)
        service = (message.routing_key or "").partition(".")[0]
        if service not in self._mischief.never_lose and self._chance.random() < self._mischief.lose_rate:
            await channel.basic_ack(tag)
            self.counts["lost"] += 1
        else:
            # Published again rather than put back: a queue counts what is put back, and gives up after a hundred.
            await self._pause()
            await _publish(publishing, message)
            await channel.basic_ack(tag)
            self.counts["delayed"] += 1

    def _note(self, message: DeliveredMessage) -> None:
        """Count what goes by, but for what is our own doing."""
        headers = _headers(message)
        if MARK in headers:
            return
        outcome = headers.get("saga-outcome")
        if outcome is None:
            self.counts["commands"] += 1
            if headers.get("saga-undoes-outcome") == "unknown":
                self._unknown_keys.add(str(headers.get("saga-undoes")))
        else:
            self.counts[f"replies {outcome}"] += 1
            self.counts["replays"] += headers.get("saga-effect") == "replayed"
        self.counts["unknowns undone"] = len(self._unknown_keys)

    async def _pause(self) -> None:
        await asyncio.sleep(max(PAUSE_SECONDS_MIN, self._chance.random() * self._mischief.delay_seconds_max))

    def _later(self, tasks: set[asyncio.Task[None]], work: Awaitable[None]) -> None:
        async def quietly() -> None:
            # A channel that went away took the delivery back: nothing is lost but the mischief.
            with contextlib.suppress(OSError, aiormq.exceptions.AMQPError, asyncio.TimeoutError):
                await work

        task = asyncio.ensure_future(quietly())
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _publish(channel: AbstractChannel, message: DeliveredMessage) -> None:
    properties = message.header.properties
    properties.headers = {**_headers(message), MARK: "1"}
    await channel.basic_publish(
        message.body,
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        properties=properties,
        timeout=BROKER_SECONDS_MAX,
    )


def _headers(message: DeliveredMessage) -> dict[str, Any]:
    return dict(message.header.properties.headers or {})


async def _run(given: argparse.Namespace) -> None:
    values = {name: value for name, value in vars(given).items() if name in Mischief.__struct_fields__}
    gremlin = Gremlin(given.url, msgspec.convert(values, Mischief))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    running = asyncio.ensure_future(gremlin.run())
    print("gremlin ready", flush=True)
    while not stopped.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), 1.0)
        given.stats.write_bytes(msgspec.json.encode(gremlin.counts))
    running.cancel()


def main(arguments: list[str] | None = None) -> None:
    """Do mischief until SIGTERM; what was done is in the stats file, rewritten every second."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.gremlin", description="Makes a broker worse than it is."
    )
    parser.add_argument("--url", required=True, help="amqp://USER:PASSWORD@HOST:PORT/VHOST of an impersonator")
    parser.add_argument("--stats", type=Path, required=True, help="counts as JSON, rewritten every second")
    parser.add_argument("--duplicate-rate", type=float, default=0.1)
    parser.add_argument("--lose-rate", type=float, default=0.3, help="of what is stolen; the rest is delayed")
    parser.add_argument("--delay-seconds-max", type=float, default=3.0)
    parser.add_argument("--steal-from", nargs="*", default=[], metavar="QUEUE")
    parser.add_argument("--never-lose", nargs="*", default=["notifications"], metavar="SERVICE")
    parser.add_argument("--seed", type=int, default=None)
    asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
