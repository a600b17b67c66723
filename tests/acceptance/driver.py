"""Starts orders as any caller could: with a bare AMQP client, knowing nothing of the engine but its wire contract.

Each order is started again until `accepted` is heard, whatever happens to the broker in between. What was heard is
written to a log, a JSON object a line:

    {"kind": "asked", "order", "total_cents", "unit_count"}
    {"kind": "accepted", "order", "saga", "existing", "sendings"}
    {"kind": "refused", "order", "code", "reason"}
    {"kind": "ended", "order", "saga", "status"}
    {"kind": "cancelled", "order"}
"""

import argparse
import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from services.world.books import Books
from tests.acceptance.load import Mix, Order, order_of

BROKER_SECONDS_MAX = 5.0
RECONNECT_SECONDS = 0.3
LOOK_SECONDS = 0.02


class Started:
    """One order, and what was heard of it."""

    def __init__(self, order: Order, due_at: float) -> None:
        self.order = order
        self.due_at = due_at
        """When to send it (again)."""
        self.sendings = 0
        self.sagas: set[str] = set()
        self.refused = False
        self.ended = False
        self.cancel_at: float | None = None
        """When to ask for its cancellation, once; None when nobody wants that, or it was asked."""


class Driver:
    """Orders spread evenly over a time, repeated until they are answered."""

    def __init__(
        self, url: str, orders: list[Order], books: Books, *, repeat_seconds: float, until_ended: bool
    ) -> None:
        self._url = url
        self._orders = orders
        self._books = books
        self._repeat_seconds = repeat_seconds
        self._until_ended = until_ended
        self._user = aio_pika.connection.make_url(url).user or "guest"
        self._client = f"driver-{uuid4().hex[:8]}"
        self._starts: list[Started] = []
        self._of_message: dict[str, Started] = {}

    async def run(self, seconds: float, patience_seconds: float) -> dict[str, int]:
        """Start all orders within `seconds`, and wait for answers for `patience_seconds` more. Returns counts."""
        begun = time.monotonic()
        for number, order in enumerate(self._orders):
            self._starts.append(Started(order, begun + seconds * number / len(self._orders)))
            self._books.write("asked", order=order.order_id, total_cents=order.total_cents, unit_count=order.unit_count)
        while self._busy() and time.monotonic() < begun + seconds + patience_seconds:
            try:
                await self._session(begun + seconds + patience_seconds)
            except (TimeoutError, OSError, aio_pika.exceptions.AMQPError):
                await asyncio.sleep(RECONNECT_SECONDS)  # the broker is away, or not yet set up again
        return self.counts()

    def counts(self) -> dict[str, int]:
        """How many were asked, accepted, refused, ended, and are still without an answer."""
        starts = self._starts
        return {
            "asked": len(starts),
            "accepted": sum(bool(start.sagas) for start in starts),
            "refused": sum(start.refused for start in starts),
            "ended": sum(start.ended for start in starts),
            "open": len(self._open()),
            "sendings": sum(start.sendings for start in starts),
            "as two sagas": sum(len(start.sagas) > 1 for start in starts),
        }

    async def _session(self, until: float) -> None:
        connection = await asyncio.wait_for(aio_pika.connect(self._url, timeout=BROKER_SECONDS_MAX), BROKER_SECONDS_MAX)
        lost = asyncio.Event()
        connection.close_callbacks.add(lambda *_: lost.set())
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            channel.close_callbacks.add(lambda *_: lost.set())
            starts = await channel.get_exchange("saga.start", ensure=False)
            controls = await channel.get_exchange("saga.control", ensure=False)
            await self._listen(await connection.channel())
            while self._busy() and time.monotonic() < until and not lost.is_set():
                await self._send_due(starts)
                await self._cancel_due(controls)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.close(), BROKER_SECONDS_MAX)

    async def _listen(self, channel: AbstractChannel) -> None:
        key = f"{self._user}.{self._client}"
        queue = await channel.declare_queue(f"saga.results.{key}", durable=True, arguments={"x-expires": 600_000})
        await queue.bind("saga.results", key)
        await queue.consume(self._heard)

    async def _send_due(self, exchange: AbstractExchange) -> None:
        now = time.monotonic()
        for start in self._open():
            if start.due_at <= now:
                copies = 2 if start.order.twice and not start.sendings else 1
                start.due_at = now + self._repeat_seconds
                await asyncio.gather(*(self._send(exchange, start) for _ in range(copies)))

    async def _cancel_due(self, exchange: AbstractExchange) -> None:
        for start in self._starts:
            if start.cancel_at is None or start.cancel_at > time.monotonic():
                continue
            start.cancel_at = None
            order = start.order.order_id
            message = aio_pika.Message(
                b'{"reason":"the customer changed their mind"}',
                message_id=uuid4().hex,
                type="saga.cancel.v1",
                user_id=self._user,
                headers={"saga-name": "order", "saga-key": order},
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            with contextlib.suppress(aio_pika.exceptions.DeliveryError):
                await exchange.publish(message, "cancel", mandatory=True, timeout=BROKER_SECONDS_MAX)
                self._books.write("cancelled", order=order)

    async def _send(self, exchange: AbstractExchange, start: Started) -> None:
        message_id = uuid4().hex
        self._of_message[message_id] = start
        start.sendings += 1
        message = aio_pika.Message(
            start.order.body,
            message_id=message_id,
            type="order",
            user_id=self._user,
            reply_to=f"{self._user}.{self._client}",
            headers={"saga-key": start.order.order_id},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            content_type="application/json",
        )
        with contextlib.suppress(aio_pika.exceptions.DeliveryError):  # no queue yet, or refused: sent again later
            await exchange.publish(message, "order", mandatory=True, timeout=BROKER_SECONDS_MAX)

    async def _heard(self, message: AbstractIncomingMessage) -> None:
        body: dict[str, Any] = json.loads(message.body)
        start = self._of_message.get(str(message.headers.get("saga-in-reply-to")))
        if start is not None:
            self._note(start, message.type or "", body)
        await message.ack()

    def _note(self, start: Started, kind: str, body: dict[str, Any]) -> None:
        order, saga = start.order.order_id, body.get("saga", "")
        if kind == "saga.accepted.v1" and saga not in start.sagas:
            if start.order.cancel_after_seconds is not None and not start.sagas:
                start.cancel_at = time.monotonic() + start.order.cancel_after_seconds
            start.sagas.add(saga)
            existing = bool(body.get("existing", False))
            self._books.write("accepted", order=order, saga=saga, existing=existing, sendings=start.sendings)
        elif kind == "saga.refused.v1":
            start.refused = True
            self._books.write("refused", order=order, code=body.get("code", ""), reason=body.get("reason", ""))
        elif kind == "saga.ended.v1" and not start.ended:
            start.ended = True
            self._books.write("ended", order=order, saga=saga, status=body.get("status", ""))

    def _open(self) -> list[Started]:
        """What still wants an answer."""
        return [s for s in self._starts if not s.refused and not (s.ended if self._until_ended else s.sagas)]

    def _busy(self) -> bool:
        return bool(self._open()) or any(start.cancel_at is not None for start in self._starts)


async def _run(given: argparse.Namespace) -> None:
    mix = Mix(**{name: value for name, value in vars(given).items() if name in Mix.__struct_fields__})
    orders = [order_of(given.run, number, mix, given.seed) for number in range(given.orders)]
    books = Books(given.log)
    driver = Driver(given.url, orders, books, repeat_seconds=given.repeat_seconds, until_ended=given.until == "ended")
    task = asyncio.ensure_future(driver.run(given.seconds, given.patience_seconds))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    counts = driver.counts()
    print(msgspec.json.encode(counts).decode(), flush=True)
    raise SystemExit(1 if counts["open"] else 0)


def main(arguments: list[str] | None = None) -> None:
    """Start orders; the exit code says whether every one was answered."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.driver", description="Starts orders over bare AMQP."
    )
    parser.add_argument("--url", required=True, help="amqp://USER:PASSWORD@HOST:PORT/VHOST")
    parser.add_argument("--log", type=Path, required=True, help="append-only JSON lines of what was asked and heard")
    parser.add_argument("--run", default="run", help="first part of every order id")
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="over which the orders are spread")
    parser.add_argument("--patience-seconds", type=float, default=60.0, help="to wait for answers after that")
    parser.add_argument("--repeat-seconds", type=float, default=3.0, help="before an unanswered start is sent again")
    parser.add_argument("--until", choices=["accepted", "ended"], default="accepted")
    parser.add_argument("--seed", type=int, default=0)
    for share in Mix.__struct_fields__:
        parser.add_argument(f"--{share.replace('_', '-')}", type=float, default=getattr(Mix(), share))
    asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
