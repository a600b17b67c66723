"""The least-privilege roles of `infra/postgres/roles.sql` do their work and cannot rewrite history."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from saga.adapters.postgres import PostgresStore, open_feed, open_store
from saga.engine.examine import examine_messages, examine_sagas, examine_store
from saga.ports import BEGINNING, Batch, ParkedAction, SagaFilter
from saga.stores import CLOCK
from tests.conformance.store.places import advance, new_saga, parked

ROLES = Path(__file__).parents[2] / "infra" / "postgres" / "roles.sql"


@asynccontextmanager
async def entered(database: str, user: str, role: str) -> AsyncIterator[str]:
    """A migrated database, entered as a login user that has nothing but this role."""
    owner = await open_store(database)
    await owner.migrate()
    await owner.close()
    connection = await asyncpg.connect(database)
    for _ in range(2):  # applying it again changes nothing
        await connection.execute(ROLES.read_text())
    await connection.execute(f"create role {user} login; grant {role} to {user}")
    parts = urlsplit(database)
    place = parts.netloc.rpartition("@")[2]
    yield urlunsplit(parts._replace(netloc=f"{user}@{place}"))
    await connection.execute(f"drop role {user}")
    await connection.close()


@pytest.fixture
async def engine_dsn(database: str, unique_name: str) -> AsyncIterator[str]:
    """As an orchestrator enters."""
    async with entered(database, unique_name, "saga_engine") as dsn:
        yield dsn


@pytest.fixture
async def store(engine_dsn: str) -> AsyncIterator[PostgresStore]:
    """The store as an orchestrator opens it."""
    store = await open_store(engine_dsn)
    yield store
    await store.close()


async def test_the_role_is_enough_for_an_orchestrator(store: PostgresStore) -> None:
    """Starting, advancing, parking, waking and looking need no more than the role."""
    assert await store.pending() == []
    new = new_saga()
    await store.commit(Batch(starts=[new], parked=[parked()]))
    committed = await store.commit(Batch(advances=[advance(new.saga, 1)]))
    assert committed.sagas == {new.saga}
    await store.rearm({new.saga: (2, committed.now)})
    await store.dispatched({new.saga: 2})
    assert [due.saga for due in await store.claim(10, 30.0)] == [new.saga]
    assert len(await store.sagas(SagaFilter())) == len(await store.parked()) == 1
    assert await store.note_parked(1, ParkedAction("redriven", "ann", "fixed"))
    assert [count.count for count in await store.parked_counts()] == []


async def test_the_role_is_enough_for_a_follower(store: PostgresStore, engine_dsn: str) -> None:
    """Taking a cursor, reading along and saving need no more than the role."""
    new = new_saga()
    await store.commit(Batch(starts=[new]))
    feed = await open_feed(engine_dsn)
    assert await feed.take_cursor("events", "one", 30.0) == BEGINNING
    page = await feed.read_after(BEGINNING, 10)
    page_after = await feed.read_after((await feed.read_after(page.position, 10)).position, 10)
    assert [row.saga for row in page.rows] == [new.saga]
    assert await feed.save_cursor("events", "one", page_after.position, 30.0)
    await feed.close()


async def test_the_reading_role_is_enough_for_the_doctor(database: str, unique_name: str) -> None:
    """It looks at tables, clocks, sagas and messages, and asks for no right to write."""
    owner = await open_store(database)
    async with entered(database, unique_name, "saga_reader") as dsn:
        await owner.commit(Batch(starts=[new_saga()], parked=[parked()]))
        reader = await open_store(dsn)
        assert [found.what for found in await examine_store(reader, CLOCK)] == ["no definition is published"]
        assert await examine_sagas(reader, CLOCK) == []
        assert len(await examine_messages(reader)) == 1
        await reader.close()
    await owner.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update history set data = ''",
        "delete from history",
        "truncate history",
        "delete from sagas",
        "delete from parked",
        "update parked set body = ''",
        "update parked_actions set actor = 'somebody else'",
        "delete from parked_actions",
        "update definitions set canonical = ''",
        "drop table history",
        "alter table history disable trigger all",
        "create table elsewhere ()",
    ],
)
async def test_the_role_cannot_rewrite_what_happened(engine_dsn: str, statement: str) -> None:
    """Whoever runs the engine may add to the record and not change it."""
    connection = await asyncpg.connect(engine_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()
