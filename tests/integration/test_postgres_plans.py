"""What only Postgres shows of the store: plans that need no statistics, updates that stay in their page."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from saga.adapters.postgres import PostgresSettings, PostgresStore, open_store
from saga.adapters.postgres.connection import session_settings, statement
from saga.adapters.postgres.listing import filtered
from saga.ports import Batch, SagaFilter
from tests.conformance.store.places import FUTURE, advance, started, view

HOT_SHARE_MIN = 0.99
ROUNDS = 120
ROWS_WITHOUT_STATISTICS = 20_000
ENGINE_STATEMENTS = ("commit", "load", "find", "count_children", "claim", "rearm", "dispatched", "history")
PARKED_STATEMENTS = ("parked", "parked_actions", "parked_counts", "note_parked")


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    """A store with tables."""
    store = await open_store(database)
    await store.migrate()
    yield store
    await store.close()


async def plan(dsn: str, sql: str) -> str:
    """The generic plan under the settings of the store's own sessions."""
    session = session_settings(PostgresSettings()) | {"plan_cache_mode": "force_generic_plan"}
    connection = await asyncpg.connect(dsn, server_settings=session)
    count = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
    arguments = f"({', '.join(['null'] * count)})" if count else ""
    await connection.execute(f"prepare asked as {sql}")
    lines = await connection.fetch(f"explain execute asked{arguments}")
    await connection.close()
    return "\n".join(line[0] for line in lines)


async def fill(dsn: str) -> None:
    """Many rows the planner has never looked at."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("alter table sagas set (autovacuum_enabled = false)")
    await connection.execute("alter table history set (autovacuum_enabled = false)")
    await connection.execute(
        "insert into sagas (id, name, start_key, input_hash, root, definition, version, status, wait_kind, wait_text,"
        " tags) select gen_random_uuid(), 'order', n::text, '', gen_random_uuid(), 'd', 1, 'completed', '', '', '{}'"
        f" from generate_series(1, {ROWS_WITHOUT_STATISTICS}) n"
    )
    await connection.execute("insert into history (saga, version, cause, data) select id, 1, '', '' from sagas")
    await connection.close()


@pytest.mark.parametrize("rows", ["none", "many"])
async def test_the_engine_never_scans_a_table(store: PostgresStore, database: str, rows: str) -> None:
    """Empty or full, and without statistics, each statement of the engine goes by an index."""
    if rows == "many":
        await fill(database)
    for name in (*ENGINE_STATEMENTS, *PARKED_STATEMENTS):
        found = await plan(database, statement(name).rstrip(";\n "))
        assert "Seq Scan" not in found, f"{name}:\n{found}"


async def test_the_tail_is_read_by_the_primary_key(store: PostgresStore, database: str) -> None:
    """Saga and version both narrow the index, for each saga asked for."""
    await fill(database)
    found = await plan(database, statement("load").rstrip(";\n "))
    assert re.search(r"Index Scan (using|on) history_pkey", found)
    assert "Index Cond: ((saga = s.id) AND (version > r.since))" in found
    assert "Index Scan using sagas_pkey on sagas" in found


async def test_lists_of_few_go_by_the_index_of_what_is_asked(store: PostgresStore, database: str) -> None:
    """Looking for the three that are parked does not read the finished ones."""
    await fill(database)
    await started(store, 3, view=view("parked", "person", team="a"))
    connection = await asyncpg.connect(database)
    await connection.execute("analyze sagas")
    for where, index in (
        (SagaFilter(statuses=("parked",)), "sagas_status_id"),
        (SagaFilter(wait_kind="person"), "sagas_waiting"),
        (SagaFilter(wait_kind="person", oldest_first=True), "sagas_waiting"),
        (SagaFilter(name="trip"), "sagas_name_id"),
        (SagaFilter(due_before=FUTURE), "sagas_wake_at_id"),
        (SagaFilter(tags={"team": "a"}), "sagas_tags"),
        (SagaFilter(root="01930000-0000-7000-8000-000000000001"), "sagas_below"),
    ):
        sql, arguments = filtered(statement("sagas"), where)
        lines = await connection.fetch(f"explain {sql}", *arguments)
        assert index in "\n".join(line[0] for line in lines)
    await connection.close()


async def test_the_longest_waiting_are_read_from_the_front(store: PostgresStore, database: str) -> None:
    """Of very many that wait alike, the oldest few are found without a sort, and so are unsettled messages."""
    await fill(database)
    connection = await asyncpg.connect(database)
    await connection.execute("update sagas set status = 'running', wait_kind = 'reply'")
    await connection.execute("vacuum analyze sagas")
    sql, arguments = filtered(statement("sagas"), SagaFilter(wait_kind="reply", oldest_first=True, limit=50))
    lines = "\n".join(line[0] for line in await connection.fetch(f"explain {sql}", *arguments))
    await connection.close()
    assert "Sort" not in lines, lines
    assert "parked_unsettled" in await plan(database, statement("parked_counts").rstrip(";\n "))


async def test_open_sagas_are_counted_from_an_index_alone(store: PostgresStore, database: str) -> None:
    """Not one row of the table is read for it, and the oldest of each wait are read from the front."""
    await fill(database)
    connection = await asyncpg.connect(database, server_settings=session_settings(PostgresSettings()))
    await connection.execute("update sagas set status = 'running', wait_kind = 'approval' where start_key like '1%'")
    await connection.execute("vacuum analyze sagas")
    counted = await connection.fetch(
        f"explain (analyze, costs off) {statement('standing_open').rstrip('; ' + chr(10))}"
    )
    oldest = statement("standing_oldest").rstrip("; \n")
    looked = await connection.fetch(f"explain (analyze, costs off) {oldest}", ["approval", "reply"], 100)
    await connection.close()
    lines = "\n".join(line[0] for line in counted)
    assert "Index Only Scan using sagas_waiting" in lines, lines
    assert "Heap Fetches: 0" in lines, lines
    lines = "\n".join(line[0] for line in looked)
    assert "Scan using sagas_waiting" in lines, lines
    assert "Sort" not in lines.partition("history")[0].partition("Limit")[2], lines


async def test_the_first_of_very_many_that_are_due_are_claimed_without_a_sort(
    store: PostgresStore, database: str
) -> None:
    """Neither where all are due at one instant nor where their times differ: a claim reads no more than it takes."""
    await fill(database)
    claim = statement("claim").rstrip(";\n ")
    assert "Sort" not in await plan(database, claim)
    connection = await asyncpg.connect(database)
    await connection.execute("update sagas set wake_at = '2001-01-01' where start_key like '1%'")
    await connection.execute("vacuum analyze sagas")
    await connection.execute("set enable_seqscan = off")
    lines = await connection.fetch(f"explain (analyze, costs off) {claim}", 10, timedelta(seconds=30))
    await connection.close()
    [scan] = [line[0] for line in lines if "sagas_wake_at_id" in line[0]]
    assert "rows=10 " in scan, scan


@pytest.mark.parametrize("statuses", [("parked",), ("parked", "compensating"), ("completed", "parked")])
async def test_few_among_very_many_are_listed_by_their_status(
    store: PostgresStore, database: str, statuses: tuple[str, ...]
) -> None:
    """Also several statuses at once, and also where the planner believes that the newest will do."""
    await fill(database)
    connection = await asyncpg.connect(database)
    await connection.execute("vacuum analyze sagas")
    await connection.execute("set enable_seqscan = off")
    sql, arguments = filtered(statement("sagas"), SagaFilter(statuses=statuses, roots_only=True, limit=20))
    lines = "\n".join(line[0] for line in await connection.fetch(f"explain {sql}", *arguments))
    await connection.close()
    assert "sagas_status_id" in lines, lines
    assert "sagas_pkey" not in lines, lines


async def test_a_saga_without_tags_has_no_entry_among_them(store: PostgresStore, database: str) -> None:
    """Most have none, and each hop that moves an index would write one."""
    await fill(database)
    sql = "select pg_relation_size('sagas_tags')"
    connection = await asyncpg.connect(database)
    empty = await connection.fetchval(sql)
    await started(store, 500, view=view(team="a"))
    tagged = await connection.fetchval(sql)
    await connection.close()
    assert (await store.sagas(SagaFilter(tags={"team": "a"}, limit=1_000)))[499:]
    assert empty < tagged


async def leave_alone(database: str) -> None:
    """No automatic ANALYZE: while one reads, nothing that has died since may be cleared out of its page."""
    connection = await asyncpg.connect(database)
    for (table,) in await connection.fetch("select tablename from pg_tables where schemaname = 'public'"):
        await connection.execute(f'alter table "{table}" set (autovacuum_enabled = false)')
    await connection.close()


async def test_ordinary_hops_stay_in_their_page(store: PostgresStore, database: str) -> None:
    """At least 99 of 100 updates write no index: neither the wait text nor unchanged tags cost one."""
    await leave_alone(database)
    sagas = await started(store, 200, view=view(team="a"))
    for version in range(1, ROUNDS + 1):
        for first in range(0, len(sagas), 50):
            shown = view(wait_text=f"reply due from step {version % 7}", team="a")
            batch = [advance(saga, version, b"x" * 300, view=shown) for saga in sagas[first : first + 50]]
            assert len((await store.commit(Batch(advances=batch))).sagas) == 50
    await store.dispatched(dict.fromkeys(sagas, ROUNDS))
    await store.close()  # a session that ends reports what it counted
    connection = await asyncpg.connect(database)
    counted = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'sagas'"
    updated = hot = 0
    while updated < len(sagas) * (ROUNDS + 1):
        [(updated, hot)] = await connection.fetch(counted)
    await connection.close()
    assert hot / updated >= HOT_SHARE_MIN


async def test_a_commit_shows_its_transaction(store: PostgresStore, database: str) -> None:
    """Who reads along needs the transaction of each row, and a start that rolled back leaves no gap to wait for."""
    await started(store)
    await started(store, 2)
    connection = await asyncpg.connect(database)
    rows = await connection.fetch("select tx, count(*) as rows from history group by tx order by tx")
    oldest = await connection.fetchval("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    await connection.close()
    assert [row["rows"] for row in rows] == [1, 2]
    assert rows[-1]["tx"] < oldest
