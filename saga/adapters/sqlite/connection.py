"""The one thread that touches the file, and one transaction for each call into it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from saga.adapters.sqlite.opening import opened
from saga.core.errors import SchemaMismatch, StoreAway, Unstorable
from saga.ports import CommitUnknown

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the store uses its file."""

    call_timeout: timedelta = timedelta(seconds=10)
    """Of every call, waiting for its turn included."""
    busy_timeout: timedelta = timedelta(seconds=5)
    """How long another process may hold the file."""


class Connection:
    """A database file (or `:memory:`) and its thread; opened by the first call, and made by no call but `creates`."""

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self._path = path
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saga-sqlite")
        self._open: sqlite3.Connection | None = None
        self._closed = False

    def is_there(self) -> bool:
        """Whether there is a file to open."""
        return self._path == ":memory:" or self._open is not None or Path(self._path).exists()

    async def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = False, creates: bool = False) -> T:
        """Run `work` in one transaction, on the thread.

        Raises Unavailable, SchemaMismatch (also where there is no file), and CommitUnknown for a write that the
        deadline overtook.
        """
        if self._closed:
            raise StoreAway(f"sqlite: {self._path} was closed")
        if not creates and not self.is_there():  # a mistyped path is not made by looking
            fix = "run `saga db migrate` to make it, or correct the address"
            raise SchemaMismatch(f"sqlite: there is no file {self._path}. Fix: {fix}")
        turn = asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, writes)
        try:
            async with asyncio.timeout(self._settings.call_timeout.total_seconds()):
                return await turn
        except TimeoutError as error:
            kind = CommitUnknown if writes else StoreAway
            raise kind(f"sqlite: no answer from {self._path} in {self._settings.call_timeout}") from error

    async def close(self) -> None:
        """Close the file after the calls that are waiting; what was in `:memory:` is gone."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    def _transact(self, work: Callable[[sqlite3.Connection], T], writes: bool) -> T:  # noqa: FBT001 - by position only
        try:
            connection = self._connected()
            connection.execute("begin immediate" if writes else "begin")
            try:
                answer = work(connection)
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "no such column" in str(error):
                raise SchemaMismatch(f"sqlite: {self._path}: {error}. Fix: run `saga db migrate`") from error
            raise StoreAway(f"sqlite: {self._path}: {error}") from error
        except (sqlite3.DataError, sqlite3.IntegrityError) as error:
            raise Unstorable(f"sqlite: {self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreAway(f"sqlite: {self._path}: {type(error).__name__}: {error}") from error
        return answer

    def _connected(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = opened(self._path, self._settings.busy_timeout)
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def microseconds(moment: datetime | None) -> int | None:
    """A time as a column keeps it."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """A time from its column."""
    return _EPOCH + timedelta(microseconds=value)


def optional_moment(value: int | None) -> datetime | None:
    """A time that may be absent from its column."""
    return None if value is None else moment(value)
