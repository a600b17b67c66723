"""Migrations: numbered SQL files, applied forward only, all that are missing in one transaction under a lock.

The same runner serves the engine's tables and, in a service's own database, those of the participant's inbox.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from saga.adapters.postgres.connection import PostgresSettings, away, reason, statement
from saga.core.errors import BrokenMigration
from saga.core.rows import Migration, missing_migrations

_FOLDER = Path(__file__).parent / "migrations"
MIGRATION_SECONDS_MAX = 600
"""Of the wait for another migrator, and of each statement: building an index takes its time."""
_MAY_PASS = ("08", "28", "40", "42501", "53", "55", "57", "58", "XX")
"""Errors that speak of the server, the user or a neighbour; the others of the statement."""


class Scope(msgspec.Struct, frozen=True):
    """A set of tables with numbers of its own."""

    name: str
    folder: Path


ENGINE = Scope("engine", _FOLDER / "engine")
INBOX = Scope("inbox", _FOLDER / "inbox")


def released(scope: Scope) -> list[Migration]:
    """The migrations this release has, in order."""
    return [Migration(file.stem, file.read_text(encoding="utf-8")) for file in sorted(scope.folder.glob("*.sql"))]


async def migrate(connection: asyncpg.Connection, scope: Scope) -> list[str]:
    """Apply what is missing and return the names; nothing is applied when one of them fails.

    Raises SchemaMismatch when the database went another way, BrokenMigration when it refuses a file, Unavailable when
    it does not let us.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = '{MIGRATION_SECONDS_MAX} s'")
            await connection.execute(f"set local statement_timeout = '{MIGRATION_SECONDS_MAX} s'")
            await connection.execute("select pg_advisory_xact_lock($1)", _lock_key(), timeout=MIGRATION_SECONDS_MAX)
            await connection.execute(statement("ledger"))
            missing = missing_migrations(released(scope), await _applied(connection, scope))
            for migration in missing:
                await _apply(connection, f"{scope.name}/{migration.name}", migration.sql)
                await connection.execute(
                    "insert into saga_migrations (scope, name, checksum) values ($1, $2, $3)",
                    scope.name,
                    migration.name,
                    migration.checksum,
                )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise away(f"the {scope.name} tables could not be migrated", error) from error
    return [migration.name for migration in missing]


async def pending(connection: asyncpg.Connection, scope: Scope) -> list[str]:
    """Names of the migrations that are not applied. Raises SchemaMismatch when the database went another way."""
    try:
        applied = await _applied(connection, scope)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise away(f"the migrations of {scope.name} cannot be read", error) from error
    return [migration.name for migration in missing_migrations(released(scope), applied)]


@asynccontextmanager
async def connected(dsn: str, settings: PostgresSettings) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, for work that is done now and then. Raises Unavailable."""
    seconds = settings.command_timeout.total_seconds()
    try:
        connection = await asyncpg.connect(dsn, timeout=seconds, command_timeout=seconds)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OSError) as error:
        raise away("no connection", error) from error
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection.terminate()


async def _apply(connection: asyncpg.Connection, place: str, sql: str) -> None:
    last = "\n;select"  # asyncpg cannot read the answer to a file without a statement
    try:
        await connection.execute(sql + last, timeout=MIGRATION_SECONDS_MAX)
    except asyncpg.PostgresError as error:
        if not error.sqlstate or error.sqlstate.startswith(_MAY_PASS):
            raise
        raise BrokenMigration(f"postgres: {place}", reason(error)) from error


async def _applied(connection: asyncpg.Connection, scope: Scope) -> dict[str, str]:
    if await connection.fetchval("select to_regclass('saga_migrations')") is None:
        return {}
    found: Sequence[asyncpg.Record] = await connection.fetch(
        "select name, checksum from saga_migrations where scope = $1", scope.name
    )
    return {record["name"]: record["checksum"] for record in found}


def _lock_key() -> int:
    """One lock for all scopes of a database: they share the table of what is applied."""
    return int.from_bytes(hashlib.blake2b(b"saga_migrations", digest_size=8).digest(), signed=True)
