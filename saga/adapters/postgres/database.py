"""A service's own database in Postgres: transactions for its handlers, its tables and those of its inbox."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from saga.adapters.postgres.connection import PostgresSettings, away, plain_reset
from saga.adapters.postgres.migration import INBOX, Scope, connected, migrate, pending
from saga.core.errors import Unavailable

SHORT_CONNECTIONS_MAX: Final = 2
"""Kept from handlers, for what the library writes beside them: a lease that is not renewed is another's to take."""


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a service uses its database."""

    connections_max: int = 32
    """Handlers with a transaction that run at once; further ones wait for their turn. `saga serve` takes the
    participant's `concurrency`. A process opens SHORT_CONNECTIONS_MAX more."""
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
        """Run one statement with `$1`-style parameters; return its rows. Raises asyncpg's errors.

        Raises RuntimeError once the transaction was ended: from then on each statement would be kept by itself.
        """
        self.check_open()
        rows = [tuple(record) for record in await self.connection.fetch(sql, *arguments)]
        self.check_open()
        return rows

    def check_open(self) -> None:
        """Raises RuntimeError once the transaction was ended. PostgreSQL lets a commit without one pass."""
        if not self.connection.is_in_transaction():
            raise RuntimeError(
                "a handler ended the transaction that it got. Fix: leave commit and rollback to the library; "
                "raise, and what was written is rolled back"
            )


class PostgresDatabase:
    """`saga.ports.Database` over a pool; connects when first used."""

    dialect: Literal["postgres"] = "postgres"

    def __init__(self, dsn: str, settings: DatabaseSettings | None = None) -> None:
        self._dsn = dsn
        settings = settings or DatabaseSettings()
        self._long = _Pool(dsn, settings, settings.connections_max)
        self._short = _Pool(dsn, settings, SHORT_CONNECTIONS_MAX)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        """A transaction: commits on leaving, rolls back on an exception.

        Raises Unavailable while there is no connection; an error of the commit itself is asyncpg's, and then it may
        have happened.
        """
        async with self._long.connection() as connection, _transaction(connection) as tx:
            yield tx

    @asynccontextmanager
    async def begin_short(self) -> AsyncIterator[PostgresTransaction]:
        """The same for a few statements: it waits for no transaction of `begin`, nor for a server that lets no more
        connections in."""
        async with AsyncExitStack() as held, _transaction(await self._short_connection(held)) as tx:
            yield tx

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
        for pool in (self._long, self._short):
            await pool.close()

    async def _short_connection(self, held: AsyncExitStack) -> PoolConnectionProxy:
        """One that handlers never get, or, while those are busy, one that no handler needs now."""
        if self._short.is_full and not self._long.is_full:
            with contextlib.suppress(Unavailable):
                return await held.enter_async_context(self._long.connection())
        return await held.enter_async_context(self._short.connection())


class _Pool:
    """Connections made when they are needed, and counted: while it is not full, nobody waits for anybody's."""

    def __init__(self, dsn: str, settings: DatabaseSettings, connections_max: int) -> None:
        self._turns = asyncio.Semaphore(connections_max)
        self._timeout_seconds = settings.connect_timeout.total_seconds()
        self._pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections_max,
            reset=plain_reset,
            timeout=self._timeout_seconds,
            command_timeout=settings.command_timeout.total_seconds(),
            server_settings=_session(settings),
        )

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._turns.locked()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """One of them. Raises Unavailable when there is none in time."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._turns.acquire()
        except TimeoutError as error:
            raise away("no connection is free", error) from error
        try:
            connection = await self._acquire()
            try:
                yield connection
            finally:
                await self._pool.release(connection, timeout=self._timeout_seconds)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Close all, cutting what still runs."""
        await self._pool  # asyncpg refuses to end a pool that was never used
        self._pool.terminate()

    async def _acquire(self) -> PoolConnectionProxy:
        try:
            await self._pool  # connects nothing yet; does nothing the second time
            return await self._pool.acquire(timeout=self._timeout_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OSError) as error:
            raise away("no connection", error) from error


@asynccontextmanager
async def _transaction(connection: PoolConnectionProxy) -> AsyncIterator[PostgresTransaction]:
    transaction = connection.transaction()
    try:
        await transaction.start()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise away("no transaction", error) from error
    try:
        tx = PostgresTransaction(connection)
        yield tx
        tx.check_open()
    except BaseException:
        await _roll_back(transaction, connection)
        raise
    await transaction.commit()


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
