"""Schema: migrations are applied once, by whoever comes first, and a store that went another way is refused."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest

from saga.core.errors import SchemaMismatch
from saga.ports import Batch, SagaFilter, Unavailable
from tests.conformance.store.places import Place, new_saga

MIGRATE = """
import asyncio, sys
from tests.conformance.store.places import Place

async def main():
    store = await Place(*sys.argv[1:]).open()
    print(",".join(await store.migrate()))
    await store.close()

asyncio.run(main())
"""
ROOT = Path(__file__).parents[3]

# Memory has no tables: it is as old as its process.
on_databases = pytest.mark.parametrize("empty_place", ["sqlite", "postgres"], indirect=True)


async def execute(place: Place, sql: str) -> None:
    """Change the tables by hand."""
    if place.kind == "sqlite":
        import sqlite3

        connection = sqlite3.connect(place.where)
        with connection:
            connection.execute(sql)
        connection.close()
    else:
        server = await asyncpg.connect(place.where)
        await server.execute(sql)
        await server.close()


async def test_migrations_are_applied_once(empty_place: Place) -> None:
    """What was pending is applied, then nothing is pending and nothing is applied."""
    store = await empty_place.open()
    pending = await store.pending()
    assert (await store.migrate(), await store.pending(), await store.migrate()) == (pending, [], [])
    assert (empty_place.kind == "memory") == (pending == [])
    await store.commit(Batch(starts=[new_saga()]))
    await empty_place.close()


@on_databases
async def test_two_processes_may_migrate_at_once(empty_place: Place) -> None:
    """One applies each migration, the other waits and finds it done."""
    command = [sys.executable, "-c", MIGRATE, empty_place.kind, empty_place.where]
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE) for _ in range(2)
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(outputs) == [
        "",
        "0001_journal,0002_parked_actions,0003_followers,0004_children,0005_many_waiting,0006_census",
    ]


@on_databases
async def test_a_changed_migration_is_refused(place: Place) -> None:
    """What was applied has another text than this release: the message says what to do, and nothing is applied."""
    await execute(place, "update saga_migrations set checksum = 'edited' where name = '0001_journal'")
    store = await place.open()
    for call in (store.pending, store.migrate):
        with pytest.raises(SchemaMismatch, match=r"0001_journal.*Fix:"):
            await call()


@on_databases
async def test_a_store_ahead_of_this_release_is_used(place: Place) -> None:
    """During a rolling deployment the older release goes on."""
    await execute(
        place,
        "insert into saga_migrations (scope, name, checksum, applied_at)"
        f" values ('engine', '9999_later', 'c', {'0' if place.kind == 'sqlite' else 'now()'})",
    )
    store = await place.open()
    assert await store.pending() == []
    assert await store.migrate() == []


@on_databases
async def test_a_store_without_tables_says_how_to_make_them(empty_place: Place) -> None:
    """The first call names the command."""
    store = await empty_place.open()
    for call in (store.commit(Batch(starts=[new_saga()])), store.sagas(SagaFilter()), store.claim(1, 1)):
        with pytest.raises(SchemaMismatch, match="saga db migrate"):
            await call
    await empty_place.close()


async def test_a_closed_store_may_be_closed_again(place: Place) -> None:
    """Shutdown paths meet: the second close does nothing."""
    store = await place.open()
    await store.close()
    await store.close()


@on_databases
async def test_a_closed_store_is_unavailable(place: Place) -> None:
    """A call after the end says so."""
    store = await place.open()
    await store.close()
    with pytest.raises(Unavailable):
        await store.sagas(SagaFilter())
