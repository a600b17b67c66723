"""The bank on Postgres, on SQLite, and on a database library of the team's own."""

import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from saga.adapters.postgres.database import PostgresDatabase
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from tests.conformance.inbox.bank import (
    TeamDatabase,
    World,
)
from tests.conformance.inbox.cases import (
    OWN_TABLES,
    Bank,
)
from tests.servers import PostgresServer


@pytest.fixture(scope="module")
def shared_dsn(postgres: PostgresServer) -> Iterator[str]:
    """One Postgres database for all tests here: making one takes longer than a test."""
    name = f"inbox_{secrets.token_hex(4)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(params=["postgres", "sqlite", "own"])
async def bank(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bank]:
    """The bank on Postgres, on SQLite, and on a database library of the team's own."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_effects.sql").write_text(OWN_TABLES)
    path = tmp_path / "bank.db"
    if request.param == "own":
        team = TeamDatabase(path)
        team.create(OWN_TABLES)
        yield Bank(World(), (team, team))
        return
    opened: list[PostgresDatabase | SqliteDatabase]
    if request.param == "postgres":
        opened = [PostgresDatabase(request.getfixturevalue("shared_dsn")) for _ in range(2)]
    else:
        short = timedelta(milliseconds=50)
        opened = [SqliteDatabase(str(path), clock=SystemClock(), busy_timeout=short) for _ in range(2)]
    await opened[0].migrate("bank", folder)
    bank = Bank(World(), (opened[0], opened[1]))
    for table in ("saga_inbox", "effects"):
        await bank.sql(f"delete from {table}")
    yield bank
    for one in opened:
        await one.close()
