"""The loop of a serving process: starting early, outages, and stopping without leaving anything behind."""

import asyncio
from datetime import timedelta

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.contract import Context
from saga.core.messages import Outcome
from saga.core.topology import wanted_topology
from saga.participant import run
from tests.unit.participant.till import QUEUE, Flaky, Till, pay


async def test_a_process_told_to_stop_finishes_what_it_began(database: SqliteDatabase) -> None:
    """The running handler ends, its answer is published and acknowledged; what was not begun stays in the queue."""
    till = Till(database, concurrency=1)
    stop, began, hold = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        began.set()
        await hold.wait()

    till.during = wait
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    await began.wait()
    stop.set()
    hold.set()
    await serving
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    await till.send(wire.command_to_wire(pay(2)))
    assert till.broker.ready_count(QUEUE) == 1


async def test_a_handler_that_outlasts_the_drain_is_cut(database: SqliteDatabase) -> None:
    """Its delivery goes back to the queue and its transaction is rolled back."""
    till = Till(database)
    stop, began = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        began.set()
        await asyncio.Event().wait()

    till.during = wait
    await till.send(wire.command_to_wire(pay()))
    serving = asyncio.create_task(run(till.serving, till.bus, stop, drain=timedelta(0)))
    await began.wait()
    stop.set()
    await serving
    assert till.broker.ready_count(QUEUE) == 1
    async with database.begin() as tx:
        assert await tx.execute("select 1 from saga_inbox") == []


async def test_a_process_waits_for_its_queue(database: SqliteDatabase) -> None:
    """Started before the topology, it keeps trying, and stops when told to."""
    till = Till(database, topology=wanted_topology([]))
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.clock.slept.wait()
    till.broker.apply(wanted_topology(["bank"]))
    await till.send(wire.command_to_wire(pay()))
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    stop.set()
    await serving


async def test_a_process_that_never_found_its_queue_can_stop(database: SqliteDatabase) -> None:
    """Waiting is no reason to hang."""
    till = Till(database, topology=wanted_topology([]))
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.clock.slept.wait()
    stop.set()
    await serving


async def test_an_outage_of_the_database_is_waited_out(database: SqliteDatabase) -> None:
    """While it is away the command stays; when it is back the command is answered."""
    flaky = Flaky(database, failures=3)
    till = Till(flaky)
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    assert till.clock.seconds > 0
    stop.set()
    await serving


async def test_a_lost_queue_is_waited_out(database: SqliteDatabase) -> None:
    """The queue is deleted and made again while the process runs: it goes on."""
    till = Till(database)
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    await till.replies()
    till.broker.delete_queue(QUEUE)
    await till.clock.slept.wait()
    till.broker.apply(wanted_topology(["bank"]))
    await till.send(wire.command_to_wire(pay(2)))
    [reply] = await till.replies()
    assert reply.in_reply_to == pay(2).message_id
    stop.set()
    await serving
