"""A service's own database in Postgres: transactions for its handlers, its tables and those of its inbox."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from saga.adapters.postgres.connection import PostgresSettings, away, plain_reset
from saga.adapters.postgres.migration import INBOX, Scope, connected, migrate, pending


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a service uses its database."""

    connections_max: int = 16
    """Handlers with a transaction that run at once; further ones wait for their turn."""
    connect_timeout: timedelta = timedelta(seconds=10)
    """Also of waiting for a free connection."""
    command_timeout: timedelta = timedelta(seconds=60)
    """Of one statement."""
    lock_timeout: timedelta = timedelta(seconds=10)
    idle_in_transaction_timeout: timedelta = timedelta(minutes=16)
    """Longer than a handler may take."""
    application_name: str = "saga-participant"


class PostgresTransaction:
    """`saga.ports.Transaction`: what handlers get as `ctx.tx`."""

    __slots__ = ("connection",)

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self.connection = connection
        """The asyncpg connection. Session settings (`set` without `local`) would outlive the transaction: set none."""

    @property
    def handle(self) -> "PostgresTransaction":
        return self

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement with `$1`-style parameters; return its rows. Raises asyncpg's errors."""
        return [tuple(record) for record in await self.connection.fetch(sql, *arguments)]


class PostgresDatabase:
    """`saga.ports.Database` over a pool; connects when first used."""

    dialect: Literal["postgres"] = "postgres"

    def __init__(self, dsn: str, settings: DatabaseSettings | None = None) -> None:
        self._dsn = dsn
        self._settings = settings or DatabaseSettings()
        self._timeout_seconds = self._settings.connect_timeout.total_seconds()
        self._pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=self._settings.connections_max,
            reset=plain_reset,
            timeout=self._timeout_seconds,
            command_timeout=self._settings.command_timeout.total_seconds(),
            server_settings=_session(self._settings),
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        """A transaction: commits on leaving, rolls back on an exception.

        Raises Unavailable while there is no connection; an error of the commit itself is asyncpg's, and then it may
        have happened.
        """
        connection = await self._acquire()
        try:
            transaction = connection.transaction()
            try:
                await transaction.start()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                raise away("no transaction", error) from error
            try:
                yield PostgresTransaction(connection)
            except BaseException:
                await _roll_back(transaction, connection)
                raise
            await transaction.commit()
        finally:
            await self._pool.release(connection, timeout=self._timeout_seconds)

    async def migrate(self, service: str, migrations: Path | None = None) -> Sequence[str]:
        """Apply what is missing of the inbox and of the service's own tables, forward only; returns the names.

        Raises SchemaMismatch, BrokenMigration, Unavailable.
        """
        applied: list[str] = []
        async with connected(self._dsn, PostgresSettings()) as connection:
            for scope in scopes(service, migrations):
                applied += [f"{scope.name}/{name}" for name in await migrate(connection, scope)]
        return applied

    async def pending(self, service: str, migrations: Path | None = None) -> Sequence[str]:
        """Names of the migrations that are not applied yet. Raises SchemaMismatch, Unavailable."""
        async with connected(self._dsn, PostgresSettings()) as connection:
            return [
                f"{scope.name}/{name}"
                for scope in scopes(service, migrations)
                for name in await pending(connection, scope)
            ]

    async def close(self) -> None:
        """Close every connection, cutting what still runs."""
        await self._pool  # asyncpg refuses to end a pool that was never used
        self._pool.terminate()

    async def _acquire(self) -> PoolConnectionProxy:
        try:
            await self._pool  # connects nothing yet; does nothing the second time
            return await self._pool.acquire(timeout=self._timeout_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OSError) as error:
            raise away("no connection", error) from error


def scopes(service: str, migrations: Path | None) -> list[Scope]:
    """The inbox, and the tables of the service under its own name."""
    return [INBOX] if migrations is None else [INBOX, Scope(f"service {service}", migrations)]


def inbox_sql() -> str:
    """The inbox's tables as SQL, for teams with a migration tool of their own."""
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(INBOX.folder.glob("*.sql")))


async def _roll_back(transaction: Transaction, connection: PoolConnectionProxy) -> None:
    """The server rolls back by itself what we cannot tell it to."""
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection.terminate()


def _session(settings: DatabaseSettings) -> dict[str, str]:
    return {
        "application_name": settings.application_name,
        "lock_timeout": _milliseconds(settings.lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout),
        "timezone": "UTC",
    }


def _milliseconds(duration: timedelta) -> str:
    return str(max(round(duration.total_seconds() * 1000), 1))
