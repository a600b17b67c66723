"""Signals and decisions through the client, and what people are asked, over the broker in memory."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from saga.client import Client, Refused
from saga.core.definition import Await
from tests.builders import plan
from tests.unit.engine.family import INNER, asking
from tests.unit.engine.living import QUICK, SOON_SECONDS, running, serve, until
from tests.unit.engine.rig import TRUST, CountingIds, Rig
from tests.unit.engine.test_decisions import LETTER

SOON = timedelta(seconds=SOON_SECONDS)
PAID = plan(Await(path="paid", signal="paid"), name="paid")
NESTED = plan(asking("letter", "order"), name="nested")
SETTINGS = msgspec.structs.replace(QUICK, trust=TRUST, recall_interval_seconds=0.001)


@pytest.fixture
def rig() -> Rig:
    """Sagas that wait for somebody."""
    return Rig(PAID, LETTER, NESTED, INNER)


def client_of(rig: Rig, user: str = "gateway") -> Client:
    """A client with the store at hand."""
    return Client(rig.broker.bus(user), CountingIds(10_000), name="desk", lookup=rig.store)


async def test_a_signal_is_told_by_id_and_by_key(rig: Rig) -> None:
    """The saga goes on; the same id counts once; what nobody waits for is refused."""
    async with running(rig, SETTINGS):
        client = client_of(rig)
        started = await client.start("paid", {"id": "o1"}, key="o1", within=SOON)
        await client.signal("paid", "paid", {"by": "ada"}, saga=started.saga, message_id="s-1", within=SOON)
        assert (await client.result(started, within=SOON)).status == "completed"
        with pytest.raises(Refused, match="ended"):
            await client.signal("paid", "paid", key="o1", within=SOON)
        with pytest.raises(TypeError, match="names its saga"):
            await client.signal("paid", "paid")
        await client.close()


async def test_a_signal_may_be_faster_than_its_saga(rig: Rig) -> None:
    """Held until the start is there."""
    async with running(rig, SETTINGS) as engine:
        client = client_of(rig)
        told = asyncio.create_task(client.signal("paid", "paid", key="o1", within=SOON))
        await until(lambda: engine._backlog._held)
        started = await client.start("paid", {"id": "o1"}, key="o1", within=SOON)
        await told
        assert (await client.result(started, within=SOON)).status == "completed"
        await client.close()


async def test_the_same_signal_twice_at_once_is_two_waits(rig: Rig) -> None:
    """Under one id; whoever gives up first takes nothing from the other."""
    client = client_of(rig)
    to = {"key": "o1", "message_id": "s-1"}
    patient = asyncio.create_task(client.signal("paid", "paid", within=SOON, **to))
    with pytest.raises(TimeoutError, match="the signal paid"):
        await client.signal("paid", "paid", within=timedelta(milliseconds=20), **to)
    async with running(rig, SETTINGS):
        await client.start("paid", {"id": "o1"}, key="o1", within=SOON)
        await patient
    await client.close()


async def test_a_person_decides_on_what_is_listed(rig: Rig) -> None:
    """Listed with its place below the root; approved by its digest; the child goes on, and so does its parent."""
    async with running(rig, SETTINGS):
        client = client_of(rig)
        started = await client.start("nested", {"id": "o1"}, within=SOON)
        async with asyncio.timeout(SOON_SECONDS):
            while not (asked := await client.approvals(root=started.saga)):
                await asyncio.sleep(0)
        (request,) = asked
        assert (request.root, request.place, request.path) == (started.saga, "letter/review", "review")
        assert [each.saga for each in await client.approvals(name="order")] == [request.saga]
        with pytest.raises(Refused, match="not-allowed: deciding needs the role editor; eve has: none"):
            await client.approve(request.saga, "review", digest=request.digest, approver="eve", within=SOON)
        clicked = {"digest": request.digest, "approver": "bo", "number": request.number, "within": SOON}
        await client.approve(request.saga, "review", **clicked)  # type: ignore[arg-type]  # one dict for two calls
        await client.approve(request.saga, "review", **clicked)  # type: ignore[arg-type]  # a double click
        await serve(rig, "reserve-service", 1)
        assert (await client.result(started, within=SOON)).status == "completed"
        assert await client.approvals() == []
        await client.close()


async def test_a_rejection_ends_the_saga(rig: Rig) -> None:
    """With the person's reason."""
    async with running(rig, SETTINGS):
        client = client_of(rig)
        started = await client.start("order", {"id": "o1"}, within=SOON)
        (request,) = await client.approvals()
        await client.reject(started.saga, "review", digest=request.digest, approver="bo", reason="rude", within=SOON)
        ended = await client.result(started, within=SOON)
        assert (ended.status, ended.reason) == ("compensated", "review: bo said no: rude")
        await client.close()


async def test_only_gateways_bring_decisions(rig: Rig) -> None:
    """Another user's client is refused."""
    async with running(rig, SETTINGS):
        client = client_of(rig, "shop")
        started = await client.start("order", {"id": "o1"}, within=SOON)
        (request,) = await client.approvals()
        with pytest.raises(Refused, match="forbidden: shop is no gateway"):
            await client.approve(started.saga, "review", digest=request.digest, approver="bo", within=SOON)
        await client.close()


async def test_a_misspelt_option_is_no_option_left_out(rig: Rig) -> None:
    """Without its key a start would be another saga, without its number a decision another one's."""
    client = client_of(rig)
    with pytest.raises(TypeError, match=r"a start has no option 'kye'. Fix: one of key, version, actor, within"):
        await client.start("paid", {"id": "o1"}, kye="o1")  # type: ignore[call-overload]  # what nobody checks
    with pytest.raises(TypeError, match="a start has no option 'timeout'"):
        await client.run("paid", {"id": "o1"}, timeout=SOON)  # type: ignore[call-overload]  # as above
    with pytest.raises(TypeError, match=r"a signal has no option 'idd'. Fix: one of saga, key, message_id, actor"):
        await client.signal("paid", "paid", key="o1", idd="s-1")  # type: ignore[call-arg]  # as above
    decision = {"digest": "d", "approver": "bo", "nmber": 1}
    for decide in (client.approve, client.reject):
        with pytest.raises(TypeError, match=r"a decision has no option 'nmber'. Fix: one of number, reason"):
            await decide("s", "review", **decision)  # type: ignore[arg-type]  # as above
