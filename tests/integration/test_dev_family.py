"""Sub-sagas and people in one process: what runs over real servers runs over the broker in memory as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from saga.bootstrap.brokers import open_bus
from saga.client import Client, Refused
from saga.define import On, Saga, define
from saga.embedded import Parts, Place, claimed, live, place_in
from saga.engine.settings import EngineSettings, Trust
from saga.stores import IDS, open_store

SOON = timedelta(seconds=20)
TRUST = Trust(gateways=frozenset({"desk"}), approvers={"bo": frozenset({"it"})})


class Hire(msgspec.Struct, frozen=True):
    """Somebody new."""

    name: str


class Paid(msgspec.Struct, frozen=True):
    """What payroll says."""

    by: str


@define("account", version=1)
def account(s: Saga, hire: Hire) -> Hire:
    """Somebody decides about it."""
    s.gate("privileges", showing=hire, roles=["it"])
    return hire


@define("hiring", version=1, deadline=timedelta(days=10))
def hiring(s: Saga, hire: Hire) -> Hire:
    """Ends when payroll has spoken."""
    ready = s.child("access", account, hire, undo=On.CANCEL)
    s.signal("paid", Paid)
    return Hire(name=ready.name)


@asynccontextmanager
async def living(place: Place) -> AsyncIterator[Client]:
    """`saga dev` with its store and a gateway's client."""
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = EngineSettings(trust=TRUST, wake_interval_seconds=0.05)
    with claimed(place):
        parts = Parts([], [hiring])
        work = asyncio.create_task(live(place, parts, stop, lambda _: ready.set(), settings=settings))
        await asyncio.wait({work, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        store = await open_store(place.store)
        bus = await open_bus(f"dev://desk@{place.folder}", name="desk")
        client = Client(bus, IDS, name="desk", lookup=store)
        try:
            yield client
        finally:
            await client.close()
            await bus.close()
            await store.close()
            stop.set()
            await work


async def until(client: Client, saga: str, status: str) -> None:
    """Wait for the end; what ended is told to the first start, whose process is gone."""
    async with asyncio.timeout(SOON.total_seconds()):
        while (row := await client.get(saga)) is None or row.status != status:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("choice", ["approve", "reject"])
async def test_a_family_lives_through_the_end_of_its_broker(tmp_path: Path, choice: str) -> None:
    """The definition publishes its child; the process ends while somebody has to decide, and everything it had on its
    broker is gone; the decision comes, the child answers, the parent goes on."""
    place = place_in(tmp_path / "dev")
    async with living(place) as client:
        started = await client.start(hiring, Hire(name="ada"), key="ada", within=SOON)
        async with asyncio.timeout(SOON.total_seconds()):
            while not (asked := await client.approvals()):
                await asyncio.sleep(0.02)
    (request,) = asked
    assert (request.root, request.place) == (started.saga, "access/privileges")
    async with living(place) as client:
        again = await client.start(hiring, Hire(name="ada"), key="ada", within=SOON)
        assert (again.saga, again.existing) == (started.saga, True)
        with pytest.raises(Refused, match="not-allowed"):
            await client.approve(request.saga, "privileges", digest=request.digest, approver="eve", within=SOON)
        if choice == "approve":
            await client.signal(hiring, "paid", Paid(by="bo"), key="ada", within=SOON)
            await client.approve(request.saga, "privileges", digest=request.digest, approver="bo", within=SOON)
            await until(client, started.saga, "completed")
        else:
            await client.reject(
                request.saga, "privileges", digest=request.digest, approver="bo", reason="no room", within=SOON
            )
            await until(client, started.saga, "compensated")
            await until(client, request.saga, "compensated")
