"""A caller and an orchestrator over the broker in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from saga.adapters.memory.bus import Fate, MemoryBus
from saga.client import Client, Ended, Refused, Started
from saga.core.errors import BadValue
from saga.core.topology import RESULTS, Binding, Queue, Topology, result_queue
from saga.engine.worker import Orchestrator
from saga.ports import MissingQueue, Outgoing, SagaFilter, Sent
from tests.unit.engine.living import SOON_SECONDS, running, serve, until, waiting
from tests.unit.engine.rig import CALLER, CLIENT, CountingIds, Rig

SOON = timedelta(seconds=SOON_SECONDS)
AT_ONCE = timedelta(milliseconds=20)
ORDER = {"id": "o1"}


@pytest.fixture
def rig() -> Rig:
    """A fresh bench."""
    return Rig()


@pytest.fixture
async def engine(rig: Rig) -> AsyncIterator[Orchestrator]:
    """An orchestrator at work."""
    async with running(rig) as engine:
        yield engine


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    """A caller with the store at hand."""
    client = Client(rig.broker.bus(CALLER), CountingIds(10_000), name=CLIENT, lookup=rig.store)
    yield client
    await client.close()


async def both_steps(rig: Rig, count: int = 1) -> None:
    """The services answer ok."""
    await asyncio.gather(*(serve(rig, service, count) for service in ("reserve-service", "charge-service")))


@pytest.mark.usefixtures("engine")
async def test_a_saga_is_started_and_its_end_is_heard(rig: Rig, client: Client) -> None:
    """`run` is `start` and `result`."""
    (ended, _) = await asyncio.gather(client.run("order", ORDER, within=SOON), both_steps(rig))
    assert isinstance(ended, Ended)
    assert (ended.status, bytes(ended.output or b"")) == ("completed", b'{"order":"o1"}')


@pytest.mark.usefixtures("engine")
async def test_an_end_that_came_before_anybody_asked_is_not_lost(rig: Rig, client: Client) -> None:
    """Between `start` and `result` a quick saga may end."""
    started = await client.start("order", ORDER, within=SOON)
    assert isinstance(started, Started)
    await both_steps(rig)
    await until(lambda: waiting(rig, result_queue(CALLER, CLIENT)) == 0 and client._letters._unread)
    assert (await client.result(started, within=AT_ONCE)).status == "completed"


@pytest.mark.usefixtures("engine")
async def test_one_who_stops_waiting_leaves_the_others_waiting(rig: Rig, client: Client) -> None:
    """Two requests of a web service wait for one saga, and one of them is closed, or has less time."""
    started = await client.start("order", ORDER, within=SOON)
    closed, stays = (asyncio.create_task(client.result(started, within=SOON)) for _ in range(2))
    await asyncio.sleep(0)
    closed.cancel()
    with pytest.raises(TimeoutError):
        await client.result(started, within=AT_ONCE)
    await both_steps(rig)
    assert (await stays).status == "completed"
    assert closed.cancelled()


@pytest.mark.usefixtures("engine")
async def test_an_end_that_was_told_is_told_again(rig: Rig, client: Client) -> None:
    """At once, however little time is given."""
    started = await client.start("order", ORDER, within=SOON)
    (ended, _) = await asyncio.gather(client.result(started, within=SOON), both_steps(rig))
    assert await client.result(started, within=AT_ONCE) == ended


@pytest.mark.usefixtures("engine")
async def test_before_a_wait_is_given_up_it_is_asked_once_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that was told once and is no more at hand, with less time than the pause before asking again."""
    monkeypatch.setattr("saga.client.correspondence.READ_ENDINGS_MAX", 0)
    monkeypatch.setattr("saga.client.correspondence.REPEAT_MAX_SECONDS", 2 * SOON_SECONDS)
    monkeypatch.setattr("saga.client.correspondence.LAST_CALL_SECONDS", SOON_SECONDS - 0.001)
    client = Client(rig.broker.bus(CALLER), CountingIds(10_000), name=CLIENT)
    started = await client.start("order", ORDER, within=SOON)
    await asyncio.gather(client.result(started, within=SOON), both_steps(rig))
    assert (await client.result(started, within=SOON)).status == "completed"
    await client.close()


@pytest.mark.usefixtures("engine")
async def test_many_calls_at_once_share_one_queue(rig: Rig, client: Client) -> None:
    """The first calls come together: one subscription is opened, and everybody hears their own end."""
    opened: list[str] = []
    consume = MemoryBus.consume

    async def counted(self: MemoryBus, queue: str, prefetch: int) -> object:
        opened.append(queue)
        return await consume(self, queue, prefetch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryBus, "consume", counted)
        orders = [{"id": f"o{number}"} for number in range(20)]
        runs = [client.run("order", order, within=SOON) for order in orders]
        found = await asyncio.gather(*runs, both_steps(rig, 20))
    assert opened.count(result_queue(CALLER, CLIENT)) == 1
    outputs = [bytes(ended.output or b"") for ended in found[:-1] if ended is not None]
    assert outputs == [f'{{"order":"o{number}"}}'.encode() for number in range(20)]


@pytest.mark.usefixtures("engine")
async def test_the_same_start_finds_the_same_saga(rig: Rig, client: Client) -> None:
    """With a key, and without one by the definition's own; other input under the key is refused with the reason."""
    first = await client.start("order", ORDER, key="k", within=SOON)
    again = await client.start("order", ORDER, key="k", within=SOON)
    assert (again.saga, first.existing, again.existing) == (first.saga, False, True)
    with pytest.raises(Refused, match=r"key-reused.*k#2"):
        await client.start("order", {"id": "o2"}, key="k", within=SOON)
    unkeyed = await client.start("order", {"id": "o3"}, within=SOON)
    assert (await client.start("order", {"id": "o3"}, within=SOON)).saga == unkeyed.saga


@pytest.mark.usefixtures("engine")
async def test_a_caller_that_comes_back_hears_the_end(rig: Rig, client: Client) -> None:
    """Started by a process that died; the same start in another one hears how it ended."""
    gone = Client(rig.broker.bus(CALLER), CountingIds(20_000), name="gone")
    await gone.start("order", ORDER, key="k", within=SOON)
    await gone.close()
    await both_steps(rig)
    ended = await client.run("order", ORDER, key="k", within=SOON)
    assert ended.status == "completed"


@pytest.mark.usefixtures("engine")
async def test_a_caller_that_joins_a_saga_asks_how_it_ended(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is told to the one who began it: the other one asks soon, then ever more rarely."""
    monkeypatch.setattr("saga.client.correspondence.REPEAT_FIRST_SECONDS", 0.001)
    monkeypatch.setattr("saga.client.correspondence.REPEAT_MAX_SECONDS", 60.0)
    first = Client(rig.broker.bus(CALLER), CountingIds(20_000), name="first")
    await first.start("order", ORDER, key="k", within=SOON)
    await first.close()
    joined = await client.start("order", ORDER, key="k", within=SOON)
    assert joined.existing
    (ended, _) = await asyncio.gather(client.result(joined, within=SOON), both_steps(rig))
    assert ended.status == "completed"


@pytest.mark.usefixtures("engine")
async def test_cancel_by_id_and_by_key(rig: Rig, client: Client) -> None:
    """Both are accepted; what is unknown or over is refused."""
    one = await client.start("order", ORDER, key="one", within=SOON)
    await client.start("order", {"id": "o2"}, key="two", within=SOON)
    await client.cancel(one.saga, "changed my mind", within=SOON)
    await client.cancel_by_key("order", "two", "changed my mind", within=SOON)
    assert {row.status for row in await rig.rows()} == {"compensating"}
    with pytest.raises(Refused, match="unknown-saga"):
        await client.cancel_by_key("order", "three", "changed my mind", within=SOON)


@pytest.mark.usefixtures("engine")
async def test_reading_is_of_the_store(rig: Rig, client: Client) -> None:
    """`get`, `history` and `list`."""
    started = await client.start("order", ORDER, within=SOON)
    row = await client.get(started.saga)
    assert row is not None
    assert row.start_key == "k:o1"
    assert [each.saga for each in await client.list(SagaFilter(name="order"))] == [started.saga]
    assert [each.version for each in await client.history(started.saga)] == [1]
    assert await client.get("01930000-0000-7000-8000-00000000ffff") is None


async def test_reading_without_a_store_says_what_to_give(rig: Rig) -> None:
    """The error names the argument."""
    with pytest.raises(TypeError, match="lookup=store"):
        await Client(rig.broker.bus(CALLER), CountingIds(), name=CLIENT).get("x")


@pytest.mark.parametrize("name", ["", "a b", "#", "*", "a.#", "ü", "a.", "a.b.c.d", "x" * 65])
def test_a_name_that_can_have_no_queue_is_refused(rig: Rig, name: str) -> None:
    """At once: its starts would be parked as unreadable, and `#` would hear the answers of others."""
    with pytest.raises(BadValue, match=r"is no name for a client.*Fix: letters, digits"):
        Client(rig.broker.bus(CALLER), CountingIds(), name=name)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["web-1", "web.eu.1", "host:80/7@x,y_", "x" * 64])
async def test_a_name_that_is_allowed_hears_its_answers(rig: Rig, name: str) -> None:
    """The engine takes it for an address."""
    client = Client(rig.broker.bus(CALLER), CountingIds(10_000), name=name)
    assert (await client.start("order", ORDER, within=SOON)).saga
    await client.close()


async def test_nobody_answers(client: Client) -> None:
    """What was asked, what the broker said, and what to do; nothing is kept of it."""
    with pytest.raises(
        TimeoutError, match=r"the start of order within 0.02 s.*confirmed.*saga run.*the name 'till'"
    ) as caught:
        await client.start("order", ORDER, within=AT_ONCE)
    assert "not known" in str(caught.value)
    assert not client._letters._answers


async def test_no_queue_takes_the_start(rig: Rig, client: Client) -> None:
    """A broker without topology: the reason is in the error."""
    rig.broker.delete_queue("saga.start")
    with pytest.raises(TimeoutError, match=r"returned.*the service it is for\. Whether it was"):
        await client.start("order", ORDER, within=AT_ONCE)


async def test_the_broker_refuses(rig: Rig, client: Client) -> None:
    """No right to start this: at once, not after the time is up."""
    rig.broker.fate = lambda _message: Fate(copies=0, sent=Sent("refused", "shop may not publish to saga.start"))
    with pytest.raises(Refused, match="refused-by-broker: shop may not"):
        await client.start("order", ORDER, within=SOON)


async def test_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    """The limit and the fix."""
    with pytest.raises(Refused, match="262144"):
        await client.start("order", {"id": "x" * 300_000}, within=SOON)


@pytest.mark.usefixtures("engine")
async def test_an_end_that_takes_too_long(client: Client) -> None:
    """The saga goes on, and the error says so."""
    started = await client.start("order", ORDER, within=SOON)
    with pytest.raises(TimeoutError, match=r"has not ended.*saga show"):
        await client.result(started, within=AT_ONCE)


@pytest.mark.usefixtures("engine")
async def test_a_broker_that_forgot_the_clients_queue(rig: Rig, client: Client) -> None:
    """Wiped: the client makes its queue again and hears what comes."""
    await client.start("order", ORDER, within=SOON)
    queue = result_queue(CALLER, CLIENT)
    rig.broker.delete_queue(queue)
    await until(lambda: rig.broker.has(queue))
    await client.start("order", {"id": "o2"}, within=SOON)


@pytest.mark.usefixtures("engine")
async def test_a_queue_that_somebody_else_made_meanwhile(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept for another time: declaring it is refused, and the client hears all the same."""
    await client.start("order", ORDER, within=SOON)
    queue, reply_to = await rig.broker.bus(CALLER).declare_results(CLIENT)
    refused: list[str] = []

    async def refuse(_bus: MemoryBus, name: str, *, kept: timedelta) -> tuple[str, str]:
        refused.append(f"{name} {kept}")
        raise BadValue("kept for another time")

    monkeypatch.setattr("saga.client.correspondence.DEAF_SECONDS", 0.0)
    monkeypatch.setattr(MemoryBus, "declare_results", refuse)
    rig.broker.delete_queue(queue)
    await until(lambda: refused)
    rig.broker.apply(Topology(queues=(Queue(queue),), bindings=(Binding(RESULTS, queue, reply_to),)))
    await client.start("order", {"id": "o2"}, within=SOON)


@pytest.mark.usefixtures("engine")
async def test_strange_letters_are_passed_over(rig: Rig, client: Client) -> None:
    """Whoever may write to a client's queue cannot make it deaf."""
    await client.start("order", ORDER, within=SOON)
    strange = Outgoing("saga.results", f"{CALLER}.{CLIENT}", b"\xff", "m", "nonsense", {})
    await rig.bus.publish([strange])
    await client.start("order", {"id": "o2"}, within=SOON)
    with pytest.raises(MissingQueue):
        rig.broker.ready_count("saga.results.shop.other")


@pytest.mark.usefixtures("engine")
async def test_unread_ends_do_not_pile_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that only starts keeps the last ones; an older one is told again when it is asked for."""
    monkeypatch.setattr("saga.client.correspondence.UNREAD_ENDINGS_MAX", 2)
    monkeypatch.setattr("saga.client.correspondence.REPEAT_MAX_SECONDS", 0.001)
    client = Client(rig.broker.bus(CALLER), CountingIds(10_000), name=CLIENT)
    started = [await client.start("order", {"id": f"o{number}"}, within=SOON) for number in range(4)]
    await both_steps(rig, 4)
    await until(lambda: len(client._letters._unread) == 2)
    for each in started:
        assert (await client.result(each, within=SOON)).status == "completed"
    assert not client._letters._ends
    await client.close()
