"""The Postgres store when the network, the server or another session misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from saga.adapters.postgres import PostgresSettings, PostgresStore, open_store
from saga.ports import Batch, CommitUnknown, SagaFilter, Unavailable
from tests.conformance.store.places import PAST, advance, commits, new_saga, parked, started
from tests.proxy import Direction, FaultProxy, Mode
from tests.servers import PostgresServer, PrivatePostgres

IMPATIENT = PostgresSettings(
    command_timeout=timedelta(seconds=1),
    statement_timeout=timedelta(milliseconds=800),
    lock_timeout=timedelta(milliseconds=300),
)
DEADLINE_SECONDS = 30


@asynccontextmanager
async def opened(dsn: str, settings: PostgresSettings = IMPATIENT) -> AsyncIterator[PostgresStore]:
    store = await open_store(dsn, settings)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def tables(database: str) -> str:
    """A database with tables."""
    async with opened(database) as store:
        await store.migrate()
    return database


@pytest.fixture
def private() -> Iterator[PrivatePostgres]:
    """A server to kill."""
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[FaultProxy]:
    """A network that fails, in front of the server."""
    host, port = postgres.dsn.rpartition("@")[2].partition("/")[0].split(":")
    async with FaultProxy(host, int(port)) as proxy:
        yield proxy


async def test_a_swallowed_answer_is_unknown_and_safe_to_repeat(tables: str, proxy: FaultProxy) -> None:
    """The commit took place, its answer vanished: the same batch again wins and writes nothing twice."""
    async with opened(proxy.url(tables)) as store:
        [saga] = await started(store)
        batch = Batch(starts=[new_saga()], advances=[advance(saga, 1)], parked=[parked()])
        proxy.mode = Mode.DROP_TO_CLIENT
        with pytest.raises(CommitUnknown, match="no answer to commit"):
            await asyncio.wait_for(store.commit(batch), DEADLINE_SECONDS)
        proxy.mode = Mode.PASS
        again = await store.commit(batch)
        assert again.sagas == {saga, batch.starts[0].saga}
        assert await commits(store, saga) == (b"started", b"moved")
        assert len(await store.parked()) == 1


async def test_a_connection_cut_at_the_answer_is_unknown_at_once(tables: str, proxy: FaultProxy) -> None:
    """A reset in place of the answer is no different, and the next call has a new connection."""
    async with opened(proxy.url(tables)) as store:
        [saga] = await started(store)

        def cut(direction: Direction, _: bytes) -> None:
            if direction is Direction.TO_CLIENT:
                proxy.reset()

        proxy.on_bytes = cut
        with pytest.raises(CommitUnknown):
            await store.commit(Batch(advances=[advance(saga, 1)]))
        proxy.on_bytes = None
        assert (await store.commit(Batch(advances=[advance(saga, 1)]))).sagas == {saga}


async def test_no_connection_is_unavailable_and_nothing_is_written(tables: str, proxy: FaultProxy) -> None:
    """Before anything was sent there is no doubt: Unavailable, not CommitUnknown."""
    proxy.mode = Mode.REFUSE
    async with opened(proxy.url(tables)) as store:
        start = new_saga()
        with pytest.raises(Unavailable, match="no connection") as caught:
            await store.commit(Batch(starts=[start]))
        assert not isinstance(caught.value, CommitUnknown)
        with pytest.raises(Unavailable):
            await store.migrate()
        proxy.mode = Mode.PASS
        assert await store.load({start.saga: 0}) == {}


async def test_every_call_ends_on_a_network_that_swallows_everything(tables: str, proxy: FaultProxy) -> None:
    """A black hole costs a deadline, never more: warm connections and new ones."""
    async with opened(proxy.url(tables)) as store:
        await store.commit(Batch())
        await store.load({new_saga().saga: 0})
        proxy.mode = Mode.BLACKHOLE
        calls = [store.commit(Batch()), *(store.sagas(SagaFilter()) for _ in range(6)), store.claim(1, 1)]
        async with asyncio.timeout(DEADLINE_SECONDS):
            answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(answer, Unavailable) for answer in answers] == [True] * len(calls)
        proxy.mode = Mode.PASS
        proxy.reset()
        await store.commit(Batch())


async def test_a_refused_statement_wrote_nothing(tables: str) -> None:
    """An error that the server reports is certain: here a start waits for a key that another session holds."""
    start, other = new_saga(), new_saga()
    async with opened(tables) as store, opened(tables) as rival:
        await rival.commit(Batch(starts=[other]))
        holder = await asyncpg.connect(tables)
        await holder.execute("begin")
        await holder.execute(
            "insert into sagas select $1, name, $2, input_hash, root, parent, definition, version, status, wait_kind,"
            " wait_text, tags from sagas limit 1",
            new_saga().saga,
            start.start_key,
        )
        with pytest.raises(Unavailable, match="refused") as caught:
            await store.commit(Batch(starts=[start], parked=[parked()]))
        assert not isinstance(caught.value, CommitUnknown)
        assert await store.parked() == []
        await holder.execute("rollback")
        await holder.close()
        assert (await store.commit(Batch(starts=[start]))).sagas == {start.saga}


async def test_a_locked_row_is_passed_over(tables: str) -> None:
    """A saga somebody holds is a loser of this batch; nobody waits for it."""
    async with opened(tables) as store:
        first, second = await started(store, 2, wake_at=PAST)
        holder = await asyncpg.connect(tables)
        async with holder.transaction():
            await holder.execute("select from sagas where id = $1 for update", first)
            done = await store.commit(Batch(advances=[advance(first, 1), advance(second, 1)]))
            due = await store.claim(10, 60)
        await holder.close()
        assert done.sagas == {second}
        assert [one.saga for one in due] == [second]


async def test_a_cancelled_commit_leaves_the_store_usable(tables: str) -> None:
    """Who stops waiting gets its cancellation, and the next call its connection."""
    async with opened(tables) as store:
        start = new_saga()
        await store.commit(Batch())
        holder = await asyncpg.connect(tables)
        await holder.execute("begin")
        await holder.execute("lock table history in exclusive mode")
        waiting = asyncio.create_task(store.commit(Batch(starts=[start])))
        while not await holder.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await holder.execute("rollback")
        await holder.close()
        assert (await store.commit(Batch(starts=[start]))).sagas == {start.saga}


async def test_a_server_that_restarts_is_found_again(private: PrivatePostgres) -> None:
    """Down is Unavailable; up again, the same store goes on with everything it was told was committed."""
    async with opened(private.create_database("restarts")) as store:
        await store.migrate()
        [saga] = await started(store)
        for end, version in ((private.stop, 1), (private.kill9, 2)):
            assert (await store.commit(Batch(advances=[advance(saga, version)]))).sagas == {saga}
            await asyncio.to_thread(end)
            for call in (store.commit(Batch()), store.load({saga: 0}), store.pending()):
                with pytest.raises(Unavailable):
                    await call
            await asyncio.to_thread(private.start)
            assert (await store.load({saga: 0}))[saga].version == version + 1


async def test_a_frozen_server_that_thaws_commits_once(private: PrivatePostgres) -> None:
    """The first try is carried out late, beside the second: one row, and who repeats learns that it won."""
    async with opened(private.create_database("frozen")) as store:
        await store.migrate()
        [saga] = await started(store)
        batch = Batch(starts=[new_saga()], advances=[advance(saga, 1)])
        private.sigstop()
        with pytest.raises(CommitUnknown):
            await asyncio.wait_for(store.commit(batch), DEADLINE_SECONDS)
        private.sigcont()
        won: frozenset[str] = frozenset()
        while len(won) < 2:  # the first try may hold the row at this moment
            won = (await store.commit(batch)).sagas
        assert won == {saga, batch.starts[0].saga}
        assert await commits(store, saga) == (b"started", b"moved")


async def test_a_dsn_that_makes_no_sense_is_refused_as_such(unique_name: str) -> None:
    """No later time will do: not Unavailable."""
    async with opened("postgresql://127.0.0.1:port/x") as store:
        with pytest.raises(ValueError, match="port"):
            await store.commit(Batch())
