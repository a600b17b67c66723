"""Connections with a deadline on everything, and what a failure of one means for what was asked."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

import asyncpg
import msgspec

from saga.core.errors import BadValue, SchemaMismatch, StoreAway, Unstorable
from saga.ports import CommitUnknown

_STATEMENTS_FOLDER = Path(__file__).parent / "sql"
_QUERIES_PER_CONNECTION_MAX = 2**62
"""A connection is not replaced for its age: that would be a new plan for every statement."""

_LOST_ANSWER = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_MISSING_TABLES = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)

_LOGIN_REFUSED = ("28", "42501")
_REFUSED_FOR_GOOD = ("22", "23502", "23514", "54")
"""Errors that say something about a value, not about the server or a race: the same again is refused again."""


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the store uses its database."""

    command_timeout: timedelta = timedelta(seconds=10)
    """Of every call, connecting included: when it passes, the connection is given up."""
    statement_timeout: timedelta = timedelta(seconds=8)
    """The server ends a statement by itself; shorter than the above, so that a slow answer is not a lost one."""
    lock_timeout: timedelta = timedelta(seconds=4)
    idle_in_transaction_timeout: timedelta = timedelta(seconds=30)
    read_connections_max: int = 4
    """Beside the one connection that only commits."""
    application_name: str = "saga"


async def plain_reset(connection: asyncpg.Connection) -> None:
    """Nothing to undo between two uses: no session state is ever set. Saves a round trip each time."""


class Connections:
    """One connection that only commits, and a few for everything else; each is made again when it is lost."""

    def __init__(self, dsn: str, settings: PostgresSettings, parameters: Mapping[str, str] | None = None) -> None:
        self._dsn = dsn
        self._settings = settings
        self._timeout_seconds = settings.command_timeout.total_seconds()
        session = session_settings(settings) | dict(parameters or {})
        # Commits and tail reads have one good plan, whatever the statistics say: keep it, never plan again.
        self._commits = self._pool(1, session | {"plan_cache_mode": "force_generic_plan"})
        self._reads = self._pool(settings.read_connections_max, session)

    async def commit(self, name: str, *arguments: object) -> asyncpg.Record:
        """Run a statement of one row that writes. Raises CommitUnknown when it may have been carried out."""
        [row] = await self._fetch(self._commits, name, statement(name), arguments)
        return row

    async def read(self, name: str, *arguments: object, sql: str | None = None) -> list[asyncpg.Record]:
        """Run a statement that reads, or that may be repeated at will. Raises Unavailable."""
        try:
            return await self._fetch(self._reads, name, sql or statement(name), arguments)
        except CommitUnknown as error:
            raise StoreAway(str(error)) from error

    async def write(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement that writes, beside the commits. Raises CommitUnknown when it may have been carried out."""
        return await self._fetch(self._reads, name, statement(name), arguments)

    async def close(self) -> None:
        """Close every connection once its call has ended; cut what has not ended by the deadline."""
        for pool in (self._commits, self._reads):
            if pool.is_closing():
                continue
            await pool
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await pool.close()
            except (TimeoutError, asyncpg.PostgresError, *_LOST_ANSWER):
                pool.terminate()
        await asyncio.sleep(0)  # what was cut leaves the loop

    def _pool(self, connections_max: int, session: dict[str, str]) -> asyncpg.Pool:
        return asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=connections_max,
            max_queries=_QUERIES_PER_CONNECTION_MAX,
            max_inactive_connection_lifetime=0,
            max_cached_statement_lifetime=0,
            reset=plain_reset,
            timeout=self._timeout_seconds,
            command_timeout=self._timeout_seconds,
            server_settings=session,
        )

    async def _fetch(
        self, pool: asyncpg.Pool, name: str, sql: str, arguments: Sequence[object]
    ) -> list[asyncpg.Record]:
        try:
            await pool  # connects nothing yet; does nothing the second time
            connection = await pool.acquire(timeout=self._timeout_seconds)
        except (asyncpg.PostgresError, ValueError, *_LOST_ANSWER) as error:
            raise away(f"no connection for {name}", error) from error
        try:
            return await connection.fetch(sql, *arguments)
        except (asyncpg.PostgresError, *_LOST_ANSWER) as error:
            if isinstance(error, ValueError):
                raise  # ours: a value of the wrong type, found before anything was sent
            if may_have_happened(error):
                # Never wait for a server that does not answer. A lost connection left the pool by itself.
                with contextlib.suppress(asyncpg.InterfaceError):
                    connection.terminate()
            raise translated(error, name) from error
        finally:
            # Waits for the end of a cancelled statement; a connection that cannot be given back was cut instead.
            with contextlib.suppress(asyncpg.PostgresError, *_LOST_ANSWER):
                await pool.release(connection, timeout=self._timeout_seconds)


def session_settings(settings: PostgresSettings) -> dict[str, str]:
    """Parameters of every session. Everything asked here has an index; without statistics a scan only looks cheaper."""
    return {
        "application_name": settings.application_name,
        "statement_timeout": _milliseconds(settings.statement_timeout),
        "lock_timeout": _milliseconds(settings.lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout),
        "default_transaction_isolation": "read committed",
        "synchronous_commit": "on",
        "enable_seqscan": "off",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",  # the cores are for sagas
        "timezone": "UTC",
    }


@cache
def statement(name: str) -> str:
    """The text of a statement, by the name of its file."""
    return (_STATEMENTS_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def may_have_happened(error: BaseException) -> bool:
    """Whether a write that failed so may still be carried out: an error the server reported undid it."""
    if isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError):
        sqlstate = error.sqlstate or ""
        return sqlstate.startswith("57") and sqlstate != asyncpg.QueryCanceledError.sqlstate
    return True


def translated(error: BaseException, name: str) -> Exception:
    """The engine's error for a failure of the database."""
    if isinstance(error, _MISSING_TABLES):
        return SchemaMismatch(
            f"postgres: {name} needs tables this database does not have ({reason(error)}). Fix: run `saga db migrate`"
        )
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_REFUSED_FOR_GOOD):
        return Unstorable(f"postgres: {name} cannot be carried out: {reason(error)}")
    if may_have_happened(error):
        return CommitUnknown(f"postgres: no answer to {name}: {reason(error)}")
    return away(f"{name} was refused", error)


def away(what: str, error: BaseException) -> StoreAway | BadValue:
    """The error for what cannot be done now, with what is known of the cause; no later time will do for an address
    that makes no sense."""
    if isinstance(error, ValueError):
        fix = "postgres://user:password@host:5432/database"
        return BadValue(f"postgres: the address cannot be used: {reason(error)}. Fix: {fix}", code="SAGA-1004")
    state = (error.sqlstate or "") if isinstance(error, asyncpg.PostgresError) else ""
    text = f"postgres: {what}: {reason(error)}"
    if state.startswith(_LOGIN_REFUSED):
        return StoreAway(text, code="SAGA-4004")
    if state == asyncpg.InvalidCatalogNameError.sqlstate:
        return StoreAway(f"{text}. Fix: create the database, or correct its name in the address")
    return StoreAway(text)


def reason(error: BaseException) -> str:
    """What went wrong, in one line; some errors of the network have no text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _milliseconds(duration: timedelta) -> str:
    return str(max(round(duration.total_seconds() * 1000), 1))
