"""One `saga dev` with the reference shop in it: orders go in, it is killed and started again, its ledgers are read."""

import asyncio
import os
import random
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.client import Client, Refused
from saga.stores import IDS
from services.world.books import Books
from tests.acceptance.audit import Evidence, by_order, standing_steps
from tests.acceptance.evidence import Places, gather, rows
from tests.acceptance.fleet import Fleet
from tests.acceptance.load import Order

ROOT = Path(__file__).parents[2]
EVERYTHING = "notifications, and everything else"
"""What a kill takes with it, as the auditor reads it."""
READY_SECONDS_MAX = 30.0
ACCEPTED_WITHIN = timedelta(minutes=2)
"""A process that is killed whenever it is ready takes as long as its starts do."""
SENT_AGAIN = "sent again"
SLOWNESS = {"SAGA_FAULT_SLOW_RATE": "0.2", "SAGA_FAULT_SLOW_SECONDS": "0.15"}
"""So that a kill meets sagas that are under way."""


class Outcome(msgspec.Struct, frozen=True):
    """How one order ended, in the engine's word and in the world's."""

    status: str
    standing: frozenset[str]


class Shop:
    """A state folder and the process that lives in it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.log = folder / "caller.jsonl"
        self._fleet = Fleet(folder, {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **SLOWNESS})
        self._dev = self._fleet.add("dev", "saga.cli", "dev", "--state", str(self.state), "--reference", "order")

    async def open(self) -> None:
        """Start the process, again or for the first time, and wait until it is ready."""
        await asyncio.to_thread(self._dev.start)
        until = time.monotonic() + READY_SECONDS_MAX
        while self._dev.output.count("saga dev is ready") < self._dev.starts_count:
            assert self._dev.running, self._dev.output
            assert time.monotonic() < until, self._dev.output
            await asyncio.sleep(0.02)

    async def kill_on(self, times: int, chance: random.Random) -> None:
        """Kill it so many times, each time a moment after it was ready, and start it again."""
        for _ in range(times):
            await asyncio.sleep(chance.uniform(0.1, 0.7))
            await asyncio.to_thread(self._fleet.kill, "dev")
            msgspec.structs.force_setattr(self._fleet.kills[-1], "process", EVERYTHING)
            await self.open()

    async def order(self, orders: list[Order], seconds: float) -> None:
        """Start every order, spread over a time, repeating each until it is accepted; what was heard is in the log."""
        books = Books(self.log)
        bus = await open_bus(f"dev://{self.state}", name="caller")
        client = Client(bus, IDS, name="caller")

        async def one(number: int, order: Order) -> None:
            await asyncio.sleep(seconds * number / len(orders))
            books.write("asked", order=order.order_id, total_cents=order.total_cents, unit_count=order.unit_count)
            try:
                started = await client.start("order", order.body, key=order.order_id, within=ACCEPTED_WITHIN)
            except Refused as refused:
                books.write("refused", order=order.order_id, code=refused.code, reason=refused.reason)
            else:
                books.write("accepted", order=order.order_id, saga=started.saga, existing=started.existing)

        try:
            await asyncio.gather(*(one(number, order) for number, order in enumerate(orders)))
        finally:
            await client.close()
            await bus.close()
            books.close()

    async def settled(self, within_seconds: float) -> None:
        """Wait until no saga moves."""
        until = time.monotonic() + within_seconds
        moving = "select count(*) from sagas where status in ('running', 'compensating')"
        while (await rows(self.places.store, moving))[0][0]:
            assert self._dev.running, self._dev.output
            assert time.monotonic() < until, await rows(self.places.store, "select id, status, wait_text from sagas")
            await asyncio.sleep(0.1)

    async def evidence(self) -> Evidence:
        """What the auditor judges by."""
        return await gather(self.places, tuple(self._fleet.kills))

    @property
    def kill_count(self) -> int:
        """Kills so far."""
        return len(self._fleet.kills)

    @property
    def resent_count(self) -> int:
        """Commands that were sent again at the starts of the process."""
        lines = [line for line in self._dev.output.splitlines() if SENT_AGAIN in line]
        return sum(int(line.split(SENT_AGAIN)[1].split()[0]) for line in lines)

    @property
    def places(self) -> Places:
        """Where everything is."""

        def database(name: str) -> str:
            return f"sqlite:///{self.state / name}.sqlite"

        return Places(
            store=database("saga"),
            inventory=database("inventory"),
            payments=database("payments"),
            inboxes=tuple(database(name) for name in ("inventory", "payments", "shipping", "notifications")),
            carrier=self.state / "carrier.jsonl",
            mail=self.state / "mail.jsonl",
            log=self.log,
        )

    def close(self) -> None:
        """Ask the process to end."""
        self._fleet.stop()
        self._fleet.close()


def outcomes(evidence: Evidence) -> dict[str, Outcome]:
    """Each order's."""
    orders = by_order(evidence)
    return {
        end.order: Outcome(end.status, frozenset(standing_steps(orders.get(end.order, [])))) for end in evidence.ends
    }
