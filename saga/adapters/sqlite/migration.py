"""Migrations: numbered SQL files, applied forward only, all that are missing in one transaction.

The transaction holds the write lock of the file, so a second process waits and then finds nothing to do.
"""

import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from saga.adapters.sqlite.connection import microseconds
from saga.core.errors import BrokenMigration
from saga.core.rows import Migration, missing_migrations

_FOLDER = Path(__file__).parent / "migrations"
_LEDGER = """
create table if not exists saga_migrations (
    scope text not null,
    name text not null,
    checksum text not null,
    applied_at integer not null,
    primary key (scope, name)
) strict
"""
_REFUSED_FOR_GOOD = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""They speak of the statement; the others of the file, the disk or a neighbour."""
_PRIMARY_CODE = 0xFF


class Scope(msgspec.Struct, frozen=True):
    """A set of tables with numbers of its own."""

    name: str
    folder: Path


ENGINE = Scope("engine", _FOLDER / "engine")


def released(scope: Scope) -> list[Migration]:
    """The migrations this release has, in order."""
    return [Migration(file.stem, file.read_text(encoding="utf-8")) for file in sorted(scope.folder.glob("*.sql"))]


def migrate(connection: sqlite3.Connection, scope: Scope, now: datetime) -> list[str]:
    """Apply what is missing inside the caller's transaction and return the names.

    Raises SchemaMismatch, BrokenMigration.
    """
    connection.execute(_LEDGER)
    missing = missing_migrations(released(scope), _applied(connection, scope))
    for migration in missing:
        _apply(connection, f"{scope.name}/{migration.name}", migration.sql)
        connection.execute(
            "insert into saga_migrations (scope, name, checksum, applied_at) values (?, ?, ?, ?)",
            (scope.name, migration.name, migration.checksum, microseconds(now)),
        )
    return [migration.name for migration in missing]


def pending(connection: sqlite3.Connection, scope: Scope) -> list[str]:
    """Names of the migrations that are not applied. Raises SchemaMismatch."""
    known = connection.execute("select 1 from sqlite_master where type = 'table' and name = 'saga_migrations'")
    applied = _applied(connection, scope) if known.fetchone() else {}
    return [migration.name for migration in missing_migrations(released(scope), applied)]


def statements(sql: str) -> Iterator[str]:
    """The statements of a file one by one: `executescript` would end the transaction first."""
    gathered = ""
    for piece in re.split("(?<=;)", sql):
        gathered += piece
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered


def _apply(connection: sqlite3.Connection, place: str, sql: str) -> None:
    for statement in statements(sql):
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # without one Python refused it
            if code & _PRIMARY_CODE not in _REFUSED_FOR_GOOD:
                raise
            raise BrokenMigration(f"sqlite: {place}", str(error)) from error


def _applied(connection: sqlite3.Connection, scope: Scope) -> dict[str, str]:
    found = connection.execute("select name, checksum from saga_migrations where scope = ?", (scope.name,))
    return dict(found.fetchall())
