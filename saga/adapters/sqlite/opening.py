"""Opening a file: write-ahead log, synced at each commit, whoever else opens it at the same moment."""

import sqlite3
import threading
from datetime import timedelta

_LOOK = timedelta(milliseconds=20)


def opened(path: str, busy_timeout: timedelta, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection without transactions of its own. Blocks its thread while another process holds the file.

    Raises sqlite3.OperationalError when that takes `busy_timeout`, sqlite3.DatabaseError for a file that is none.
    """
    connection = sqlite3.connect(
        path, timeout=_LOOK.total_seconds(), isolation_level=None, check_same_thread=check_same_thread
    )
    try:
        _write_ahead(connection, attempts_max=max(1, busy_timeout // (2 * _LOOK)))
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma busy_timeout = {busy_timeout // timedelta(milliseconds=1)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, attempts_max: int) -> None:
    """Switch the journal. SQLite refuses at once, whatever its busy timeout, while another process does the same.

    An attempt takes up to two looks: one inside SQLite, one here.
    """
    refused: sqlite3.OperationalError | None = None
    for _ in range(attempts_max):
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            refused = error
            threading.Event().wait(_LOOK.total_seconds())
        else:
            return
    assert refused is not None
    raise refused
