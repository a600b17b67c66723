"""The loop of a serving process: starting early, outages, and stopping without leaving anything behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.contract import Context
from saga.core.messages import CommandMessage, Outcome
from saga.core.topology import wanted_topology
from saga.participant import run
from saga.ports import Database, Transaction
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


@asynccontextmanager
async def _serving(till: Till) -> AsyncIterator[None]:
    """The process, told to stop at the end."""
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    yield
    stop.set()
    await serving


class _Troubled:
    """A database whose library has trouble the first few times."""

    dialect: Any = "sqlite"

    def __init__(self, inner: Database, trouble: Callable[[], Awaitable[None]], times: int) -> None:
        self._inner = inner
        self._trouble = trouble
        self._times = times

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Trouble, or a transaction."""
        if self._times:
            self._times -= 1
            await self._trouble()
        async with self._inner.begin() as tx:
            yield tx


async def _stray(_ctx: Context | None = None) -> None:
    """A client library cancels what waits for it when its connection dies."""
    waiter = asyncio.get_running_loop().create_future()
    waiter.cancel()
    await waiter


async def _itself() -> None:
    """Some libraries cancel the task they run in, to end what takes too long."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()


@pytest.mark.parametrize("together", [1, 4])
async def test_a_cancelled_wait_is_a_failure_of_its_handler(database: SqliteDatabase, together: int) -> None:
    """Nobody cancelled the handler: its saga hears of it, and the process keeps taking commands."""
    till = Till(database, concurrency=2, commands_per_transaction=together)
    till.during = _stray
    async with _serving(till):
        await till.send(*(wire.command_to_wire(pay(number)) for number in range(1, 31)))
        replies = await till.replies(30)
    assert {(reply.outcome, reply.code) for reply in replies} == {(Outcome.RETRY, "handler-error")}
    assert "CancelledError: nobody cancelled the handler" in replies[0].message


@pytest.mark.parametrize("together", [1, 4])
async def test_what_fails_around_a_handler_is_answered(database: SqliteDatabase, together: int) -> None:
    """A hook that raises fails its own commands, and takes no place from others."""

    @contextmanager
    def around(_command: CommandMessage) -> Iterator[None]:
        raise ValueError("the hook is broken")
        yield  # type: ignore[unreachable]  # makes it a generator

    till = Till(database, concurrency=2, commands_per_transaction=together, around=around)
    async with _serving(till):
        await till.send(*(wire.command_to_wire(pay(number)) for number in range(1, 31)))
        replies = await till.replies(30)
    assert {reply.message for reply in replies} == {"ValueError: the hook is broken"}
    assert {(reply.outcome, reply.code) for reply in replies} == {(Outcome.RETRY, "handler-error")}
    assert till.broker.ready_count(QUEUE) == 0


async def _group() -> None:
    """Some libraries raise all that went wrong at once."""
    raise BaseExceptionGroup("two", [GeneratorExit()])


@pytest.mark.parametrize("trouble", [_stray, _itself, _group])
async def test_what_nothing_can_answer_is_given_back(
    database: SqliteDatabase, trouble: Callable[[], Awaitable[None]]
) -> None:
    """Whatever ends the work on a command, the broker gets it back and sends it again."""
    till = Till(_Troubled(database, trouble, times=8), concurrency=2)
    async with _serving(till):
        await till.send(*(wire.command_to_wire(pay(number)) for number in range(1, 31)))
        replies = await till.replies(30)
    assert {reply.outcome for reply in replies} == {Outcome.OK}
    assert till.runs == 30


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
