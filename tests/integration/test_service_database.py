"""A service's own database: portable statements, outages, and what a killed connection means for a command."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from saga.adapters.postgres import database as postgres_database
from saga.adapters.postgres.database import PostgresDatabase
from saga.adapters.sqlite import database as sqlite_database
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.core.errors import BrokenMigration, SchemaMismatch, Unavailable
from saga.core.messages import CommandMessage, Kind, Outcome
from saga.participant import Participant, Serving, answer_command
from tests.conformance.inbox.bank import Pay, World

AnyDatabase = PostgresDatabase | SqliteDatabase
TABLES = "-- The same file for both.\ncreate table notes (id bigint primary key, body text, raw bytea);\n"


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A service's own migrations."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_notes.sql").write_text(TABLES + "create table effects (idempotency_key text not null);\n")
    return folder


@pytest.fixture(params=["postgres", "sqlite"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path, migrations: Path) -> AsyncIterator[AnyDatabase]:
    """Each built-in database, with its tables."""
    made: AnyDatabase
    if request.param == "postgres":
        made = PostgresDatabase(request.getfixturevalue("database"))
    else:
        made = SqliteDatabase(str(tmp_path / "s.db"), clock=SystemClock())
    await made.migrate("notes", migrations)
    yield made
    await made.close()


async def test_one_statement_runs_on_both(opened: AnyDatabase) -> None:
    """`$1` parameters of text, numbers, bytes and nothing; rows come back as plain tuples."""
    async with opened.begin() as tx:
        assert tx.handle is tx
        assert await tx.execute("insert into notes values ($1, $2, $3)", 2**40, "ü", b"\0\xff") == []
        assert await tx.execute("insert into notes values ($1, $2, $3) returning id", 1, None, None) == [(1,)]
    async with opened.begin() as tx:
        rows = await tx.execute("select body, raw, id from notes where id > $1 or body = $2 order by id", 5, "ü")
    assert rows == [("ü", b"\0\xff", 2**40)]
    assert type(rows[0]) is tuple


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt])
async def test_whatever_leaves_a_transaction_rolls_it_back(opened: AnyDatabase, error: type[BaseException]) -> None:
    """Also a cancellation; the next transaction starts clean."""

    async def leave() -> None:
        async with opened.begin() as tx:
            await tx.execute("insert into notes values (1, null, null)")
            raise error

    with pytest.raises(error):
        await leave()
    async with opened.begin() as tx:
        assert await tx.execute("select id from notes") == []


async def test_a_failed_statement_does_not_poison_the_next_transaction(opened: AnyDatabase) -> None:
    """A handler may meet an error of its own statement."""

    async def insert_twice() -> None:
        async with opened.begin() as tx:
            for _ in range(2):
                await tx.execute("insert into notes values (1, null, null)")

    with pytest.raises((sqlite3.IntegrityError, asyncpg.UniqueViolationError)):
        await insert_twice()
    async with opened.begin() as tx:
        assert await tx.execute("select id from notes") == []


async def test_many_may_begin_at_once_before_the_first_connection(opened: AnyDatabase) -> None:
    """The first burst of deliveries finds no connection yet, and more handlers than connections."""

    async def write(number: int) -> None:
        async with opened.begin() as tx:
            await tx.execute("insert into notes values ($1, null, null)", number)

    await asyncio.gather(*(write(number) for number in range(40)))
    async with opened.begin() as tx:
        assert await tx.execute("select count(*) from notes") == [(40,)]


async def test_a_short_transaction_overtakes_those_that_wait(opened: AnyDatabase) -> None:
    """Handlers may stand in line for hours; what keeps their leases may not."""
    order: list[str] = []
    hold = asyncio.Event()

    async def handler(number: int) -> None:
        async with opened.begin() as tx:
            await hold.wait()
            await tx.execute("insert into notes values ($1, null, null)", number)
            order.append("handler")

    async def lease() -> None:
        async with opened.begin_short() as tx:
            await tx.execute("select id from notes")
            order.append("lease")

    # SQLite has one connection: the transaction that is open is waited for, and no other.
    handlers = asyncio.gather(*(handler(number) for number in range(40)))
    await asyncio.sleep(0)
    leases = asyncio.gather(*(lease() for _ in range(10)))
    if isinstance(opened, PostgresDatabase):
        await asyncio.wait_for(leases, 5)
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(handlers, leases)
    first = order.index("lease")
    assert order[first : first + 10] == ["lease"] * 10
    assert first <= 1


async def test_migrations_are_applied_once_and_not_changed(opened: AnyDatabase, migrations: Path) -> None:
    """Inbox and own tables have their own numbers; an applied file that was changed is refused."""
    assert await opened.migrate("notes", migrations) == []
    assert await opened.pending("notes", migrations) == []
    (migrations / "0002_more.sql").write_text("create table more (id bigint);")
    assert await opened.pending("notes", migrations) == ["service notes/0002_more"]
    assert await opened.migrate("notes", migrations) == ["service notes/0002_more"]
    (migrations / "0001_notes.sql").write_text("select 1;")
    with pytest.raises(SchemaMismatch, match="0001_notes"):
        await opened.migrate("notes", migrations)


async def test_a_file_may_hold_what_its_author_likes(opened: AnyDatabase, migrations: Path) -> None:
    """Two statements on a line, nothing at all, or a comment."""
    (migrations / "0002_line.sql").write_text("create table a (id bigint); create table b (id bigint);")
    (migrations / "0003_empty.sql").write_text("")
    (migrations / "0004_comment.sql").write_text("-- nothing to do; not here\n/* nor; here */")
    (migrations / "0005_open.sql").write_text("insert into a values (1); insert into b select id from a -- all; of it")
    assert len(await opened.migrate("notes", migrations)) == 4
    async with opened.begin() as tx:
        assert await tx.execute("select id from b") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("create tabel wrong (id bigint);", "tabel"),
        ("create table notes (id bigint);", "notes"),
        ("insert into notes (id) values (1), (1);", "notes"),
        ("select 1 from nowhere;", "nowhere"),
        ("select $1;", ""),
    ],
)
async def test_a_file_that_the_database_refuses_is_named(
    opened: AnyDatabase, migrations: Path, sql: str, said: str
) -> None:
    """It is no outage, which would be waited for, and no defect of ours; nothing of the file stays."""
    (migrations / "0002_refused.sql").write_text(f"create table half (id bigint);\n{sql}")
    with pytest.raises(BrokenMigration, match=rf"service notes/0002_refused: .*{said}.*Fix: ") as refused:
        await opened.migrate("notes", migrations)
    assert "\n" not in str(refused.value)
    (migrations / "0002_refused.sql").write_text("create table half (id bigint);")
    assert await opened.migrate("notes", migrations) == ["service notes/0002_refused"]


async def test_a_database_can_be_closed_unused(tmp_path: Path) -> None:
    """A process that stops at once has connected nothing."""
    await PostgresDatabase("postgres://nobody@127.0.0.1:1/none").close()
    await SqliteDatabase(str(tmp_path / "s.db"), clock=SystemClock()).close()


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """The error is the engine's own, so that the loop knows to wait."""
    away = PostgresDatabase("postgres://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable):
        async with away.begin():
            pass
    missing = SqliteDatabase(str(tmp_path / "no" / "folder.db"), clock=SystemClock())
    with pytest.raises(Unavailable):
        async with missing.begin():
            pass
    await missing.close()


async def test_a_file_held_by_another_process_is_unavailable(tmp_path: Path) -> None:
    """Not for ever: only as long as it may be busy."""
    path = str(tmp_path / "s.db")
    first = SqliteDatabase(path, clock=SystemClock())
    second = SqliteDatabase(path, clock=SystemClock(), busy_timeout=timedelta(milliseconds=20))
    await first.migrate("notes")
    async with first.begin():
        with pytest.raises(Unavailable, match="locked"):
            async with second.begin():
                pass
    async with second.begin() as tx:
        assert await tx.execute("select key from saga_inbox") == []
    await first.close()
    await second.close()


def test_the_printed_schema_is_the_applied_one() -> None:
    """For teams with a migration tool of their own."""
    for module in (postgres_database, sqlite_database):
        assert "create table saga_inbox" in module.inbox_sql()


async def test_a_connection_killed_in_the_handler_leaves_nothing(database: str, migrations: Path) -> None:
    """Killed before the commit: the effect is gone, the answer claims nothing, and the repeat does it."""
    world = World()
    service = PostgresDatabase(database)
    await service.migrate("bank", migrations)
    serving = Serving(Participant("bank", world.handlers()), service, SystemClock(), "p")

    async def kill(ctx: Any) -> None:
        pid = ctx.tx.connection.get_server_pid()
        killer = await asyncpg.connect(database)
        await killer.execute("select pg_terminate_backend($1)", pid)
        await killer.close()

    world.after = kill
    action = a_payment()
    assert (await answer_command(serving, action)).outcome is Outcome.RETRY
    world.after = None
    async with service.begin() as tx:
        assert await tx.execute("select 1 from effects") == []
    assert (await answer_command(serving, action)).outcome is Outcome.OK
    async with service.begin() as tx:
        assert await tx.execute("select idempotency_key from effects") == [(action.key,)]
    await service.close()


async def test_a_waiting_duplicate_holds_no_connection(database: str, migrations: Path) -> None:
    """With one connection in the other process, a hundred duplicates of a running key are answered in no time."""
    world = World()
    first = PostgresDatabase(database)
    one = PostgresDatabase(database, postgres_database.DatabaseSettings(connections_max=1))
    await first.migrate("bank", migrations)
    servings = [Serving(Participant("bank", world.handlers()), each, SystemClock(), "p") for each in (first, one)]
    running, hold = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Any) -> None:
        running.set()
        await hold.wait()

    world.before = wait
    action = a_payment()
    task = asyncio.create_task(answer_command(servings[0], action))
    await running.wait()
    async with asyncio.timeout(5):
        for _ in range(100):
            assert (await answer_command(servings[1], action)).code == "busy"
    hold.set()
    assert (await task).outcome is Outcome.OK
    await first.close()
    await one.close()


def a_payment() -> CommandMessage:
    """A command as the engine would send it."""
    return CommandMessage(
        saga="0197f3a0-0000-7000-8000-000000000001",
        saga_name="order",
        saga_version=1,
        business_key="",
        path="pay",
        kind=Kind.ACTION,
        execution=1,
        attempt=1,
        service="bank",
        command="Pay",
        command_version=1,
        message_id="a" * 32,
        key="b" * 32,
        body=msgspec.json.encode(Pay(amount=1)),
    )
