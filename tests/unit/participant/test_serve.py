"""Serving a batch over a bus: what is answered, parked, acknowledged and given back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest

from saga import wire
from saga.adapters.memory.bus import Fate
from saga.adapters.sqlite.database import SqliteDatabase
from saga.contract import Context
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyEffect, ReplyMessage
from saga.core.topology import participant as participant_user
from saga.core.topology import wanted_topology
from saga.participant import Participant, Serving, serve_batch
from saga.ports import Answered, Sent
from tests.unit.participant.till import QUEUE, TRACE, Away, Clock, Done, Everywhere, Pay, Till, as_delivered, pay


async def test_a_command_is_answered_with_its_addresses(database: SqliteDatabase) -> None:
    """The reply echoes what the engine needs to find its step, from the service's own user, and takes the time."""
    till = Till(database)

    async def think(_ctx: Context) -> None:
        till.clock.seconds += 1.5

    till.during = think
    sent = pay()
    await till.send(wire.command_to_wire(sent))
    await till.serve()
    [reply] = await till.replies()
    assert reply == ReplyMessage(
        saga=sent.saga,
        path="pay",
        kind=Kind.ACTION,
        execution=2,
        attempt=3,
        key=sent.key,
        in_reply_to=sent.message_id,
        service="bank",
        outcome=Outcome.OK,
        effect=ReplyEffect.APPLIED,
        type="bank.Done.v1",
        body=b'{"amount":7}',
        handler_time=timedelta(seconds=1.5),
        sender="bank",
        traceparent=TRACE,
    )
    assert till.broker.ready_count(QUEUE) == 0


async def test_least_privilege_is_enough(database: SqliteDatabase) -> None:
    """With only the rights of a participant's user it can answer and park."""
    topology = wanted_topology(["bank"], [participant_user("bank")])
    till = Till(database, topology)
    good, bad = wire.command_to_wire(pay()), wire.command_to_wire(pay(2, body=b"{"))
    subscription = await till.bus.consume(QUEUE, 10)
    deliveries = [as_delivered(message) for message in (good, bad)]
    published = await serve_batch(till.serving, till.bus, subscription, deliveries)
    assert (published.acked, published.released, published.problem) == (2, 0, "")


async def test_poison_is_parked_and_answered_where_it_can_be(database: SqliteDatabase) -> None:
    """A bad body is parked and refused; bad headers are parked; both are acknowledged."""
    till = Till(database)
    bad_body = wire.command_to_wire(pay(1, body=b'"\\u0000"'))
    bad_header = wire.command_to_wire(pay(2))
    bad_header = msgspec.structs.replace(bad_header, headers={**bad_header.headers, "saga-attempt": "many"})
    await till.send(bad_body, bad_header)
    await till.serve()
    [reply] = await till.replies()
    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "invalid-payload")
    parked = [wire.parked_from_wire(delivery) for delivery in await till.take("saga.parking", 2)]
    assert {row.reason for row in parked} == {"nul", "bad-header"}
    assert {(row.origin, row.sender) for row in parked} == {(QUEUE, "orchestrator")}
    assert {row.body for row in parked} == {bad_body.body, bad_header.body}
    assert till.broker.ready_count(QUEUE) == 0
    assert till.runs == 0


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_unconfirmed_answer_is_sent_again(database: SqliteDatabase, arrived: bool) -> None:
    """The delivery comes back, and the inbox replays the answer: the effect is still one."""
    till = Till(database)
    await till.send(wire.command_to_wire(pay()))
    till.broker.fate = lambda _: Fate(copies=int(arrived), sent=Sent("unknown", "connection lost"))
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1
    till.broker.fate = None
    await till.serve()
    replies = await till.replies(1 + arrived)
    assert [reply.effect for reply in replies][-1] is ReplyEffect.REPLAYED
    assert till.runs == 1
    assert till.broker.ready_count(QUEUE) == 0


async def test_a_command_is_not_acknowledged_without_a_reply_queue(database: SqliteDatabase) -> None:
    """A returned answer reached nobody."""
    till = Till(database)
    await till.send(wire.command_to_wire(pay()))
    till.broker.delete_queue("saga.replies")
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1


async def test_without_its_database_nothing_is_answered() -> None:
    """The delivery goes back; nobody burns an attempt."""
    till = Till(Away())
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1
    assert till.broker.ready_count("saga.replies") == 0


async def test_handlers_run_side_by_side_within_a_bound() -> None:
    """Never more at once than the participant allows, and as many as that."""
    now = most = 0
    till = Till(Everywhere(), concurrency=3)

    async def count(_ctx: Context) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    till.during = count
    await till.send(*(wire.command_to_wire(pay(number)) for number in range(1, 11)))
    await till.serve()
    assert (most, till.runs) == (3, 10)


def test_a_participant_with_effects_needs_a_database() -> None:
    """Said before the first command comes."""
    participant = Participant("bank", [Pay.handled_by(_never)])
    with pytest.raises(TypeError, match="--database"):
        Serving(participant, None, Clock(), "p")


async def _never(_cmd: Pay, _ctx: Context) -> Done:
    raise AssertionError


@pytest.mark.parametrize("together", [1, 2])
async def test_each_command_is_handled_inside_its_span(database: SqliteDatabase, together: int) -> None:
    """The tracer is told the answer, whether commands share a transaction or not."""
    told: list[tuple[str, str, Outcome, str]] = []

    class Tracer:
        @contextmanager
        def processing(self, command: CommandMessage, queue: str) -> Iterator[Answered]:
            yield lambda outcome, code: told.append((command.message_id, queue, outcome, code))

        def current(self, command: CommandMessage) -> str:
            return ""

    till = Till(database, commands_per_transaction=together)
    till.serving = Serving(till.serving.participant, database, till.clock, "till-1", tracing=Tracer())
    await till.send(*(wire.command_to_wire(pay(number)) for number in (1, 2)))
    await till.serve()
    assert sorted(told) == [(pay(number).message_id, QUEUE, Outcome.OK, "") for number in (1, 2)]
