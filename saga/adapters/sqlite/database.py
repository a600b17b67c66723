"""A service's own database in one SQLite file: one connection on one thread, one transaction at a time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from saga.adapters.sqlite.migration import Scope, migrate, pending
from saga.adapters.sqlite.opening import opened
from saga.core.errors import StoreAway
from saga.ports import Clock

T = TypeVar("T")

INBOX = Scope("inbox", Path(__file__).parent / "migrations" / "inbox")
BUSY_TIMEOUT_DEFAULT = timedelta(seconds=5)
"""How long another process may hold the file."""


class SqliteTransaction:
    """`saga.ports.Transaction`: what handlers get as `ctx.tx`."""

    __slots__ = ("_database", "connection")

    def __init__(self, database: "SqliteDatabase", connection: sqlite3.Connection) -> None:
        self._database = database
        self.connection = connection
        """The sqlite3 connection, for what `execute` cannot do. Short calls only: it blocks the event loop."""

    @property
    def handle(self) -> "SqliteTransaction":
        return self

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement with `$1`-style parameters; return its rows. Raises sqlite3's errors.

        Raises RuntimeError once the transaction was ended: from then on each statement would be kept by itself.
        """
        named = {str(number): value for number, value in enumerate(arguments, 1)}  # `$1` is a parameter named 1
        return await self._database.on_thread(lambda: self._executed(sql, named))

    def _executed(self, sql: str, named: dict[str, object]) -> list[tuple[object, ...]]:
        _check_open(self.connection)
        rows = self.connection.execute(sql, named).fetchall()
        _check_open(self.connection)
        return rows


class SqliteDatabase:
    """`saga.ports.Database` over one file (or `:memory:`); opened when first used.

    Handlers with a transaction run one after the other, and one that needs a second transaction would wait for itself.
    """

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: str, *, clock: Clock, busy_timeout: timedelta = BUSY_TIMEOUT_DEFAULT) -> None:
        self._path = path
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saga-inbox")
        self._next = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._open: sqlite3.Connection | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqliteTransaction]:
        """A transaction that holds the file's write lock: commits on leaving, rolls back on an exception.

        Raises Unavailable when another process holds the file too long.
        """
        async with self._next, self.begin_short() as tx:
            yield tx

    @asynccontextmanager
    async def begin_short(self) -> AsyncIterator[SqliteTransaction]:
        """The same for a few statements: it waits for the transaction that is open, but for none that waits itself."""
        async with self._turn:
            try:
                connection = await self.on_thread(self._begun)
                yield SqliteTransaction(self, connection)
                await self.on_thread(self._commit)
            except sqlite3.OperationalError as error:
                if "locked" in str(error) or "unable to open" in str(error):
                    raise StoreAway(f"sqlite: {self._path}: {error}") from error
                raise
            finally:
                # Also after a cancellation: the thread does this before anything the next transaction asks of it.
                await asyncio.shield(self.on_thread(self._roll_back))

    async def on_thread(self, work: Callable[[], T]) -> T:
        """Run `work` on the connection's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def migrate(self, service: str, migrations: Path | None = None) -> Sequence[str]:
        """Apply what is missing of the inbox and of the service's own tables, forward only; returns the names.

        Raises SchemaMismatch, BrokenMigration, Unavailable.
        """
        now = self._clock.now()
        async with self.begin() as tx:
            return await self.on_thread(lambda: _migrated(tx.connection, scopes(service, migrations), now))

    async def pending(self, service: str, migrations: Path | None = None) -> Sequence[str]:
        """Names of the migrations that are not applied yet. Raises SchemaMismatch, Unavailable."""
        async with self.begin() as tx:
            return await self.on_thread(lambda: _pending(tx.connection, scopes(service, migrations)))

    async def close(self) -> None:
        """Close the file; what was in `:memory:` is gone."""
        await self.on_thread(self._close)
        self._thread.shutdown(wait=False)

    def _begun(self) -> sqlite3.Connection:
        connection = self._connected()
        connection.execute("begin immediate")
        return connection

    def _commit(self) -> None:
        connection = self._connected()
        _check_open(connection)
        connection.execute("commit")

    def _roll_back(self) -> None:
        if self._open is not None and self._open.in_transaction:
            self._open.execute("rollback")

    def _connected(self) -> sqlite3.Connection:
        if self._open is None:
            # Handlers may use it from the loop, between two statements of ours.
            self._open = opened(self._path, self._busy_timeout, check_same_thread=False)
            self._open.execute("pragma foreign_keys = on")
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _check_open(connection: sqlite3.Connection) -> None:
    """Raises RuntimeError once the transaction was ended."""
    if not connection.in_transaction:
        raise RuntimeError(
            "a handler ended the transaction that it got. Fix: leave commit and rollback to the library; "
            "raise, and what was written is rolled back"
        )


def scopes(service: str, migrations: Path | None) -> list[Scope]:
    """The inbox, and the tables of the service under its own name."""
    return [INBOX] if migrations is None else [INBOX, Scope(f"service {service}", migrations)]


def inbox_sql() -> str:
    """The inbox's tables as SQL, for teams with a migration tool of their own."""
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(INBOX.folder.glob("*.sql")))


def _migrated(connection: sqlite3.Connection, wanted: list[Scope], now: datetime) -> list[str]:
    return [f"{scope.name}/{name}" for scope in wanted for name in migrate(connection, scope, now.astimezone(UTC))]


def _pending(connection: sqlite3.Connection, wanted: list[Scope]) -> list[str]:
    return [f"{scope.name}/{name}" for scope in wanted for name in pending(connection, scope)]
