"""What only a file shows of the SQLite store: durability settings, another process's lock, a broken file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from saga.adapters.sqlite import SqliteSettings, SqliteStore, open_store
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.ports import Batch, CommitUnknown, SagaFilter, Unavailable
from tests.conformance.store.places import advance, commits, new_saga, started

IMPATIENT = SqliteSettings(call_timeout=timedelta(seconds=5), busy_timeout=timedelta(milliseconds=100))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Where the store keeps its data."""
    return str(tmp_path / "journal.sqlite")


@pytest.fixture
async def store(file: str) -> AsyncIterator[SqliteStore]:
    """A store with tables."""
    store = await open_store(file, clock=SystemClock(), settings=IMPATIENT)
    await store.migrate()
    yield store
    await store.close()


async def test_what_was_committed_is_there_after_reopening(store: SqliteStore, file: str) -> None:
    """The file holds everything; the object holds nothing."""
    [saga] = await started(store)
    await store.close()
    again = await open_store(file, clock=SystemClock())
    assert await commits(again, saga) == (b"started",)
    await again.close()


async def test_a_commit_survives_a_power_cut(store: SqliteStore) -> None:
    """The write-ahead log is synced at each commit."""

    def settings(connection: sqlite3.Connection) -> list[object]:
        return [connection.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert await store._connection.call(settings) == ["wal", 2]


async def test_a_file_another_process_holds_is_unavailable(store: SqliteStore, file: str) -> None:
    """After the busy time the call says so; nothing was written, and later it works."""
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("begin immediate")
    start = new_saga()
    with pytest.raises(Unavailable, match="locked") as caught:
        await store.commit(Batch(starts=[start]))
    assert not isinstance(caught.value, CommitUnknown)
    assert await store.sagas(SagaFilter()) == []
    holder.execute("rollback")
    holder.close()
    assert (await store.commit(Batch(starts=[start]))).sagas == {start.saga}


@pytest.mark.parametrize("kind", ["store", "database"])
async def test_a_file_others_open_too_is_waited_for(file: str, kind: str) -> None:
    """The switch to the write-ahead log waits for whoever has begun to write the new file: SQLite refuses at once."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    opened: SqliteStore | SqliteDatabase = (
        await open_store(file, clock=SystemClock()) if kind == "store" else SqliteDatabase(file, clock=SystemClock())
    )
    migrating: asyncio.Task[Sequence[str]] = asyncio.ensure_future(
        opened.migrate() if isinstance(opened, SqliteStore) else opened.migrate("notes")
    )
    await asyncio.sleep(0.1)
    assert not migrating.done()
    other.execute("rollback")
    assert await migrating
    await opened.close()
    other.close()


async def test_a_file_others_do_not_let_go_is_unavailable(file: str) -> None:
    """The switch is not tried for ever."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    store = await open_store(file, clock=SystemClock(), settings=IMPATIENT)
    with pytest.raises(Unavailable, match="locked"):
        await store.migrate()
    await store.close()
    other.close()


async def test_a_write_that_outlives_its_deadline_is_unknown(file: str) -> None:
    """It goes on in its thread: the same batch again finds what it wrote."""
    hasty = SqliteSettings(call_timeout=timedelta(milliseconds=300), busy_timeout=timedelta(seconds=5))
    store = await open_store(file, clock=SystemClock(), settings=hasty)
    await store.migrate()
    [saga] = await started(store)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("begin immediate")
    batch = Batch(advances=[advance(saga, 1)])
    with pytest.raises(CommitUnknown, match="no answer"):
        await store.commit(batch)
    holder.execute("rollback")
    holder.close()
    assert (await store.commit(batch)).sagas == {saga}
    assert await commits(store, saga) == (b"started", b"moved")
    await store.close()


async def test_a_cancelled_call_leaves_the_store_usable(store: SqliteStore) -> None:
    """The thread ends its transaction whoever waits for it."""
    start = new_saga()
    waiting = asyncio.create_task(store.commit(Batch(starts=[start])))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await store.commit(Batch(starts=[start]))).sagas == {start.saga}


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_that_meets_the_answer_is_not_lost(store: SqliteStore, turns: int) -> None:
    """Ctrl-C ends the program also when it comes between the answer of the file and its reader."""
    asked = asyncio.create_task(store.sagas(SagaFilter()))
    await asyncio.sleep(0)
    store._connection._thread.submit(lambda: None).result()  # the thread has answered; the loop has not heard of it
    for _ in range(turns):
        await asyncio.sleep(0)
    if asked.cancel():
        with pytest.raises(asyncio.CancelledError):
            await asked


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like one " * 100)
    store = await open_store(str(path), clock=SystemClock())
    with pytest.raises(Unavailable, match=r"notes\.txt.*not a database"):
        await store.migrate()
    await store.close()


async def test_memory_needs_no_file() -> None:
    """`:memory:` is a store for as long as the object lives."""
    store = await open_store(":memory:", clock=SystemClock())
    await store.migrate()
    [saga] = await started(store)
    assert await commits(store, saga) == (b"started",)
    await store.close()
