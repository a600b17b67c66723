"""What every bus does, on memory, on memory shared with other processes, and on RabbitMQ: one suite, the same ids."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX
from saga.ports import Bus, Delivery, MissingQueue, Outgoing, Subscription, Unavailable
from tests.conformance.bus_worlds import TOPOLOGY, USER, MemoryWorld, RabbitWorld, ResultsBus, SharedWorld, World

PAYMENTS, SHIPPING = "saga.commands.payments", "saga.commands.shipping"
SOON_SECONDS = 10.0
QUIET_SECONDS = 0.3


@pytest.fixture(params=["memory", "shared", "rabbitmq"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made: World
    if request.param == "memory":
        made = MemoryWorld()
    elif request.param == "shared":
        made = SharedWorld(request.getfixturevalue("tmp_path"))
    else:
        made = RabbitWorld(request.getfixturevalue("vhost"))
        await made.apply(TOPOLOGY)
    yield made
    await made.close()


@pytest.fixture
async def bus(world: World) -> ResultsBus:
    return await world.bus()


def command(number: int, *, service: str = "payments", body: bytes = b"{}", mandatory: bool = True) -> Outgoing:
    return Outgoing(
        exchange="saga.commands",
        routing_key=f"{service}.ChargeCard.v1",
        body=body,
        message_id=f"attempt-{service}-{number}",
        type=f"{service}.ChargeCard.v1",
        headers={"saga-step": "charge"},
        correlation_id=f"saga-{number}",
        mandatory=mandatory,
    )


async def collect(subscription: Subscription, count: int, *, settle: bool = True) -> list[Delivery]:
    """Receive until that many have arrived."""
    got: list[Delivery] = []
    async with asyncio.timeout(SOON_SECONDS):
        while len(got) < count:
            batch = await subscription.receive()
            got += batch
            if settle:
                await subscription.settle(batch)
    return got


async def assert_silent(subscription: Subscription) -> None:
    """Nothing more arrives."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            await subscription.receive()


async def until(truth: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        while not await truth():
            await asyncio.sleep(0.05)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message_id for delivery in deliveries]


# ---------------------------------------------------------------------------------------------------------- publishing


async def test_commands_reach_the_queue_of_their_service(bus: Bus) -> None:
    """A routing key decides which queue gets a message."""
    sent = await bus.publish([command(1), command(1, service="shipping"), command(2)])
    assert [one.outcome for one in sent] == ["confirmed"] * 3
    payments = await bus.consume(PAYMENTS, 10)
    shipping = await bus.consume(SHIPPING, 10)
    assert ids(await collect(payments, 2)) == ["attempt-payments-1", "attempt-payments-2"]
    assert ids(await collect(shipping, 1)) == ["attempt-shipping-1"]
    await assert_silent(payments)


async def test_an_unroutable_message_is_returned_and_its_neighbours_are_confirmed(bus: Bus) -> None:
    """Each message has its own outcome, in the order of the batch."""
    sent = await bus.publish([command(1), command(1, service="nobody"), command(2), command(2, service="nobody")])
    assert [one.outcome for one in sent] == ["confirmed", "returned", "confirmed", "returned"]


async def test_a_message_that_need_not_arrive_is_confirmed_without_a_queue(bus: Bus) -> None:
    """An answer to a caller who is gone is no error."""
    sent = await bus.publish([command(1, service="nobody", mandatory=False)])
    assert sent[0].outcome == "confirmed"


async def test_an_unknown_exchange_is_refused_and_its_neighbours_are_confirmed(bus: Bus) -> None:
    """One message the broker will not take costs the others nothing."""
    lost = Outgoing("no.such.exchange", "a.b", b"", "m-lost", "t", {})
    sent = await bus.publish([command(1), lost, command(2)])
    assert [one.outcome for one in sent] == ["confirmed", "refused", "confirmed"]
    assert "no.such.exchange" in sent[1].detail
    assert [one.outcome for one in await bus.publish([command(3)])] == ["confirmed"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (command(9, body=b"x" * (BODY_BYTES_MAX + 1)), "body"),
        (Outgoing("saga.commands", "payments.A.v1", b"", "m", "t", {"saga-a": "x" * HEADERS_BYTES_MAX}), "headers"),
        (Outgoing("saga.commands", "payments." + "x" * 300, b"", "m", "t", {}), "routing_key"),
        (Outgoing("saga.commands", "payments.A.v1", b"", "", "t", {}), "message_id"),
        (Outgoing("saga.commands", "payments.A.v1", b"", "m", "t", {"saga-a": "\ud800"}), "UTF-8"),
        (Outgoing("saga.commands", "payments.A.v1", b"", "m", "t", {"saga-a": 7}), "str"),  # type: ignore[dict-item]  # what an untyped caller does
        (Outgoing("saga.commands", "payments.A.v1", "text", "m", "t", {}), "bytes"),  # type: ignore[arg-type]  # the same
    ],
    ids=["body", "headers", "routing-key", "no-id", "surrogate", "number", "text-body"],
)
async def test_what_does_not_fit_is_refused_before_it_is_written(bus: Bus, broken: Outgoing, said: str) -> None:
    """Limits and types are checked first, so a message that breaks them cannot hurt its neighbours."""
    sent = await bus.publish([command(1), broken, command(2)])
    assert [one.outcome for one in sent] == ["confirmed", "refused", "confirmed"]
    assert said in sent[1].detail
    assert "Fix:" in sent[1].detail


async def test_a_body_at_the_limit_arrives_whole(bus: Bus) -> None:
    """The largest body crosses the wire byte by byte."""
    body = bytes(range(256)) * (BODY_BYTES_MAX // 256)
    await bus.publish([command(1, body=body), command(2, body=b"")])
    subscription = await bus.consume(PAYMENTS, 10)
    assert [delivery.body for delivery in await collect(subscription, 2)] == [body, b""]


async def test_the_same_id_twice_in_a_batch_arrives_twice(bus: Bus) -> None:
    """Held back until the first is confirmed, not dropped: deduplication is the receiver's."""
    sent = await bus.publish([command(1), command(1), command(1, service="nobody")])
    assert [one.outcome for one in sent] == ["confirmed", "confirmed", "returned"]
    subscription = await bus.consume(PAYMENTS, 10)
    assert ids(await collect(subscription, 2)) == ["attempt-payments-1"] * 2


async def test_the_same_id_unroutable_first_gets_the_right_outcome_each(bus: Bus) -> None:
    """A return is never taken for the answer to another message with the same id."""
    lost, fine = command(1, service="nobody"), command(1)
    same = [Outgoing(m.exchange, m.routing_key, m.body, "same-id", m.type, m.headers) for m in (lost, fine)]
    assert [one.outcome for one in await bus.publish(same)] == ["returned", "confirmed"]


async def test_publishing_nothing_is_fine(bus: Bus) -> None:
    """An empty batch has no results."""
    assert await bus.publish([]) == []


async def test_batches_in_parallel_are_all_confirmed(bus: Bus) -> None:
    """Several publishers may share a bus."""
    batches = [[command(100 * n + i) for i in range(50)] for n in range(8)]
    sent = await asyncio.gather(*(bus.publish(batch) for batch in batches))
    assert {one.outcome for batch in sent for one in batch} == {"confirmed"}
    subscription = await bus.consume(PAYMENTS, 100)
    assert len(set(ids(await collect(subscription, 400)))) == 400


# ----------------------------------------------------------------------------------------------------------- consuming


async def test_properties_and_headers_cross_unchanged(bus: Bus) -> None:
    """What is sent is what arrives; headers that are neither ours nor a trace's stay behind."""
    headers = {"saga-step": "pagó ✓", "saga-empty": "", "traceparent": "00-a-b-01", "x-other": "no"}
    message = Outgoing("saga.commands", "payments.A.v1", b"\x00\xff", "id-1", "payments.A.v1", headers, "cor", "rep")
    await bus.publish([message])
    [got] = await collect(await bus.consume(PAYMENTS, 10), 1)
    assert (got.queue, got.exchange, got.routing_key) == (PAYMENTS, "saga.commands", "payments.A.v1")
    assert (got.body, got.message_id, got.type) == (b"\x00\xff", "id-1", "payments.A.v1")
    assert (got.correlation_id, got.reply_to) == ("cor", "rep")
    assert dict(got.headers) == {"saga-step": "pagó ✓", "saga-empty": "", "traceparent": "00-a-b-01"}
    assert (got.redelivered, got.defects) == (False, ())


async def test_the_broker_vouches_for_the_sender(bus: Bus) -> None:
    """A delivery names the user that published it."""
    await bus.publish([command(1)])
    [got] = await collect(await bus.consume(PAYMENTS, 10), 1)
    assert got.sender == USER


async def test_thousands_arrive_in_order_and_once(bus: Bus) -> None:
    """Order holds inside a queue with one consumer; a settled delivery never comes again."""
    count = 3_000
    subscription = await bus.consume(PAYMENTS, 200)
    receiving = asyncio.create_task(collect(subscription, count))
    for start in range(0, count, 500):
        sent = await bus.publish([command(number) for number in range(start, start + 500)])
        assert {one.outcome for one in sent} == {"confirmed"}
    assert ids(await receiving) == [f"attempt-payments-{number}" for number in range(count)]
    await assert_silent(subscription)


async def test_receive_waits_for_the_first_and_returns_all_that_are_there(bus: Bus) -> None:
    """A batch is whatever has arrived."""
    subscription = await bus.consume(PAYMENTS, 50)
    waiting = asyncio.create_task(subscription.receive())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await bus.publish([command(number) for number in range(20)])
    first = await asyncio.wait_for(waiting, SOON_SECONDS)
    rest = await collect(subscription, 20 - len(first)) if len(first) < 20 else []
    assert len(first) + len(rest) == 20


async def test_the_prefetch_bounds_what_is_unsettled(bus: Bus) -> None:
    """No more than that many are handed out until some are settled."""
    await bus.publish([command(number) for number in range(25)])
    subscription = await bus.consume(PAYMENTS, 10)
    first = await collect(subscription, 10, settle=False)
    assert len(first) == 10
    await assert_silent(subscription)
    await subscription.settle(first[:4])
    assert len(await collect(subscription, 4, settle=False)) == 4
    await assert_silent(subscription)


async def test_tokens_rise_with_arrival(bus: Bus) -> None:
    """Tokens order deliveries."""
    await bus.publish([command(number) for number in range(30)])
    tokens = [delivery.token for delivery in await collect(await bus.consume(PAYMENTS, 10), 30)]
    assert tokens == sorted(set(tokens))


async def test_settling_out_of_order_settles_exactly_those(bus: Bus, world: World) -> None:
    """Acks behind a gap do not take the gap with them, and filling the gap works."""
    await bus.publish([command(number) for number in range(10)])
    subscription = await bus.consume(PAYMENTS, 10)
    got = await collect(subscription, 10, settle=False)
    await subscription.settle([got[7], got[5]])
    await subscription.settle([got[0], got[2]])
    await subscription.settle([got[1]])
    await subscription.settle([got[1], got[0]])  # again: ignored
    await subscription.close()
    again = await (await world.bus()).consume(PAYMENTS, 10)
    left = await collect(again, 5)
    assert sorted(ids(left)) == [f"attempt-payments-{number}" for number in (3, 4, 6, 8, 9)]
    assert all(delivery.redelivered for delivery in left)
    await assert_silent(again)


async def test_a_released_delivery_comes_again_marked_as_redelivered(bus: Bus) -> None:
    """Released is not lost."""
    await bus.publish([command(number) for number in range(3)])
    subscription = await bus.consume(PAYMENTS, 10)
    got = await collect(subscription, 3, settle=False)
    await subscription.settle([got[0], got[2]], released=[got[1]])
    [again] = await collect(subscription, 1)
    assert (again.message_id, again.redelivered) == (got[1].message_id, True)
    assert again.token > got[2].token
    await assert_silent(subscription)


async def test_what_is_unsettled_comes_back_after_close(bus: Bus) -> None:
    """Closing loses nothing, and what was settled stays settled."""
    await bus.publish([command(number) for number in range(20)])
    first = await bus.consume(PAYMENTS, 20)
    got = await collect(first, 20, settle=False)
    await first.settle(got[:15])
    await first.close()
    second = await bus.consume(PAYMENTS, 20)
    assert sorted(ids(await collect(second, 5))) == sorted(ids(got[15:]))
    await assert_silent(second)


async def test_two_subscriptions_share_a_queue(bus: Bus) -> None:
    """Each message goes to one of them."""
    one, other = await bus.consume(PAYMENTS, 5), await bus.consume(PAYMENTS, 5)
    await bus.publish([command(number) for number in range(10)])
    both = await asyncio.gather(collect(one, 5, settle=False), collect(other, 5, settle=False))
    assert len({delivery.message_id for half in both for delivery in half}) == 10


async def test_consuming_a_queue_that_is_not_there_names_it(bus: Bus) -> None:
    """The error says which queue is missing and what makes it."""
    with pytest.raises(MissingQueue, match=r"saga\.commands\.nobody.*Fix:"):
        await bus.consume("saga.commands.nobody", 10)


async def test_a_deleted_queue_is_reported_and_the_subscription_resumes_when_it_is_back(bus: Bus, world: World) -> None:
    """A consumer needs no restart after its queue was deleted and made again."""
    subscription = await bus.consume(PAYMENTS, 10)
    await bus.publish([command(1)])
    stale = await collect(subscription, 1, settle=False)
    await world.delete_queue(PAYMENTS)
    with pytest.raises(MissingQueue):
        await asyncio.wait_for(subscription.receive(), SOON_SECONDS)
    receiving = asyncio.create_task(_receive_when_back(subscription))
    await world.apply(TOPOLOGY)

    async def confirmed() -> bool:
        return (await bus.publish([command(2)]))[0].outcome == "confirmed"

    await until(confirmed)
    got = await asyncio.wait_for(receiving, SOON_SECONDS)
    assert ids(got) == ["attempt-payments-2"]
    assert got[0].token > stale[0].token
    await subscription.settle(stale)  # of the old queue: ignored, and nothing breaks
    await subscription.settle(got)
    await bus.publish([command(3)])
    assert ids(await collect(subscription, 1)) == ["attempt-payments-3"]


async def _receive_when_back(subscription: Subscription) -> Sequence[Delivery]:
    while True:
        try:
            return await subscription.receive()
        except MissingQueue:
            continue


async def test_a_caller_hears_answers_on_its_own_queue(bus: ResultsBus) -> None:
    """`reply_to` names a key of `saga.results` that leads to the queue the caller declared."""
    queue, reply_to = await bus.declare_results("cli")
    assert await bus.declare_results("cli") == (queue, reply_to)
    subscription = await bus.consume(queue, 10)
    await bus.publish([Outgoing("saga.results", reply_to, b"{}", "answer", "accepted", {}, mandatory=False)])
    assert ids(await collect(subscription, 1)) == ["answer"]


# ------------------------------------------------------------------------------------------------------------- closing


async def test_a_closed_bus_says_so(bus: Bus) -> None:
    """Publishing on it ends as unknown, receiving and consuming raise: nobody waits for ever."""
    subscription = await bus.consume(PAYMENTS, 10)
    waiting = asyncio.create_task(subscription.receive())
    await asyncio.sleep(0.05)
    await bus.close()
    with pytest.raises(Unavailable, match="closed"):
        await asyncio.wait_for(waiting, SOON_SECONDS)
    assert (await bus.publish([command(1)]))[0].outcome == "unknown"
    with pytest.raises(Unavailable, match="closed"):
        await bus.consume(PAYMENTS, 10)
    await bus.close()  # again: nothing happens


async def test_closing_leaves_no_task_behind(bus: Bus) -> None:
    """What a bus starts, it ends."""
    before = asyncio.all_tasks()
    await bus.publish([command(1)])
    await collect(await bus.consume(PAYMENTS, 10), 1)
    await bus.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
