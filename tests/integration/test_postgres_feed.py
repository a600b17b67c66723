"""What only Postgres shows of the feed: open transactions, restored databases, and plans over a long history."""

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from saga.adapters.postgres import PostgresFeed, PostgresSettings, PostgresStore, open_feed, open_store
from saga.adapters.postgres.connection import session_settings, statement
from saga.adapters.postgres.feed import SESSION
from saga.ports import BEGINNING, Batch
from tests.conformance.feed.test_feed import Key, keys, moved, read_on, recorded
from tests.conformance.store.places import advance, ids, started

ROWS = 20_000
AHEAD = 4_000_000_000_000
"""A transaction id that no cluster of a test reaches."""


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    """A store with tables."""
    store = await open_store(database)
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
async def feed(database: str) -> AsyncIterator[PostgresFeed]:
    """Who follows."""
    feed = await open_feed(database)
    yield feed
    await feed.close()


@pytest.fixture
async def by_hand(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of our own."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def insert(connection: asyncpg.Connection, tx: int | None = None) -> Key:
    """Write a first commit by hand, as a slow writer or as a restore does."""
    saga = ids.saga()
    own = "pg_current_xact_id()::text::bigint" if tx is None else str(tx)
    await connection.execute(
        f"insert into history (saga, version, cause, data, tx) values ($1, 1, 'start', 'x', {own})", saga
    )
    return saga, 1


@pytest.mark.parametrize("begun", ["before", "after"])
async def test_a_long_transaction_is_waited_for(
    store: PostgresStore, feed: PostgresFeed, by_hand: asyncpg.Connection, begun: str
) -> None:
    """It wrote first and commits last: what others committed meanwhile waits behind it, and nothing is left out or told
    twice, whether the follower began before it or while it was open."""
    early = (await started(store))[0]
    found, position = await read_on(feed)
    if begun == "after":
        found, position = [], BEGINNING
    transaction = by_hand.transaction()
    await transaction.start()
    slow = await insert(by_hand)
    [fast] = await started(store)
    await moved(store, fast, 2)
    await moved(store, early, 2)
    new, position = await read_on(feed, position, limit=2)
    found += new
    assert keys(found) == [(early, 1)]
    await transaction.commit()
    new, position = await read_on(feed, position, limit=2)
    found += new
    assert sorted(keys(found)) == sorted([slow, (early, 1), (early, 2), (fast, 1), (fast, 2)])
    assert keys(found).index((early, 1)) < keys(found).index((early, 2))


async def test_a_transaction_that_rolled_back_is_not_waited_for(
    store: PostgresStore, feed: PostgresFeed, by_hand: asyncpg.Connection
) -> None:
    """It leaves a gap in the ids, and no gap in what is read."""
    _, position = await read_on(feed)
    transaction = by_hand.transaction()
    await transaction.start()
    await insert(by_hand)
    sagas = await started(store)
    await transaction.rollback()
    found, _ = await read_on(feed, position)
    assert keys(found) == [(sagas[0], 1)]


async def test_open_transactions_all_the_time_skip_nothing(
    store: PostgresStore, feed: PostgresFeed, database: str
) -> None:
    """Overlapping slow writers beside fast ones, a follower with small pages: each commit once."""
    written: list[Key] = []
    done = asyncio.Event()

    async def slowly(seconds: float) -> None:
        connection = await asyncpg.connect(database)
        for _ in range(10):
            async with connection.transaction():
                key = await insert(connection)
                await asyncio.sleep(seconds)
            written.append(key)
        await connection.close()

    async def quickly() -> None:
        for _ in range(30):
            [saga] = await started(store)
            await moved(store, saga, 2, 3)
            written.extend((saga, version) for version in (1, 2, 3))

    async def follow() -> list[Key]:
        position, found = BEGINNING, []
        while True:
            finished = done.is_set()
            rows, position = await read_on(feed, position, limit=3)
            found += keys(rows)
            if finished and not rows:
                return found
            await asyncio.sleep(0.001)

    following = asyncio.create_task(follow())
    await asyncio.gather(slowly(0.02), slowly(0.05), slowly(0.03), quickly())
    done.set()
    found = await following
    assert len(found) == len(set(found))
    assert set(found) == set(written)


async def test_a_restored_database_is_read_from_the_beginning(
    store: PostgresStore, feed: PostgresFeed, by_hand: asyncpg.Connection
) -> None:
    """The cursor speaks of another cluster's transactions: everything comes once more, whatever its ids say, and what
    is committed from then on follows."""
    ahead = await insert(by_hand, tx=AHEAD - 5)
    imported = await insert(by_hand, tx=0)
    sagas = await started(store, 2)
    cursor = f'{{"cluster":"1","tx":{AHEAD},"saga":"00000000-0000-7000-8000-000000000000","version":3}}'
    page = await feed.read_after(cursor, 3)
    assert "restored" in page.restarted
    rest, position = await read_on(feed, page.position)
    expected = {ahead, imported, (sagas[0], 1), (sagas[1], 1)}
    assert set(keys(page.rows) + keys(rest)) == expected
    await moved(store, sagas[0], 2)
    newer, _ = await read_on(feed, position)
    assert keys(newer) == [(sagas[0], 2)]


async def test_a_new_follower_reads_what_was_restored_or_imported(
    store: PostgresStore, feed: PostgresFeed, by_hand: asyncpg.Connection
) -> None:
    """Ids that this cluster has not reached yet do not hold anything up."""
    written = {await insert(by_hand, tx=AHEAD), await insert(by_hand, tx=0), await insert(by_hand)}
    found, position = await read_on(feed, limit=1)
    assert set(keys(found)) == written
    sagas = await started(store, 3)
    newer, _ = await read_on(feed, position)
    assert set(keys(newer)) == await recorded(store, sagas)


async def plan(connection: asyncpg.Connection, name: str, *arguments: object) -> str:
    """The plan under the settings of the feed's own sessions."""
    for parameter, value in (session_settings(PostgresSettings()) | SESSION).items():
        await connection.execute(f"set {parameter} = '{value}'")
    sql = statement(name).rstrip(";\n ")
    count = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
    given = f"({', '.join(map(repr, arguments))})" if count else ""
    await connection.execute(f"prepare {name}_asked as {sql}")
    lines = await connection.fetch(f"explain (analyze, timing off, summary off) execute {name}_asked{given}")
    return "\n".join(line[0] for line in lines)


@pytest.mark.parametrize("statistics", [False, True])
async def test_a_long_history_is_read_by_the_page(
    store: PostgresStore, by_hand: asyncpg.Connection, statistics: bool
) -> None:
    """However much is behind or ahead, a page costs a page: no scan, and no sort of more than one transaction."""
    await by_hand.execute("alter table history set (autovacuum_enabled = false)")
    await by_hand.execute(
        "insert into history (saga, version, cause, data, tx) select gen_random_uuid(), 1, '', '', n / 100"
        f" from generate_series(1, {ROWS}) n"
    )
    if statistics:
        await by_hand.execute("analyze history")
    first = "00000000-0000-0000-0000-000000000000"
    for arguments in ((0, first, 0, 500), (ROWS // 100 - 2, first, 0, 500)):
        found = await plan(by_hand, "follow_tail", *arguments)
        assert "Index Scan using history_tx" in found
        assert "Presorted Key: history.tx" in found
        rows = re.search(r"history_tx .*actual rows=(\d+)", found)
        assert rows is not None
        assert int(rows[1]) <= 700, found
        await by_hand.execute("deallocate follow_tail_asked")
    found = await plan(by_hand, "follow_past", first, 0, 500)
    assert "Index Scan using history_pkey" in found
    assert "Sort" not in found
    found = await plan(by_hand, "follow_begin")
    assert "Seq Scan on history" not in found
    assert re.search(r"Index (Only )?Scan using history_tx", found)


async def test_cursors_are_found_by_their_name(store: PostgresStore, by_hand: asyncpg.Connection) -> None:
    """Taking and saving go by the primary key."""
    for name in ("take_cursor", "save_cursor"):
        found = await plan(by_hand, name, "events", "one", *(("", "1 s") if name == "save_cursor" else ("1 s",)))
        assert "Seq Scan" not in found


async def test_a_batch_that_moves_many_sagas_is_paged(store: PostgresStore, feed: PostgresFeed) -> None:
    """One transaction of 500 commits, read by pages of 7."""
    sagas = await started(store, 500)
    _, position = await read_on(feed)
    await store.commit(Batch(advances=[advance(saga, 1) for saga in sagas]))
    found, _ = await read_on(feed, position, limit=7)
    assert keys(found) == sorted((saga, 2) for saga in sagas)
