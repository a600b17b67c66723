"""The store in one SQLite file."""

from saga.adapters.sqlite.connection import SqliteSettings
from saga.adapters.sqlite.feed import SqliteFeed
from saga.adapters.sqlite.store import SqliteStore
from saga.ports import Clock

__all__ = ["SqliteFeed", "SqliteSettings", "SqliteStore", "open_feed", "open_store"]


async def open_store(path: str, *, clock: Clock, settings: SqliteSettings | None = None) -> SqliteStore:
    """The store in this file, or `:memory:`. Nothing is opened yet: a file that is locked is met by the first call."""
    return SqliteStore(path, clock, settings or SqliteSettings())


async def open_feed(path: str, *, clock: Clock, settings: SqliteSettings | None = None) -> SqliteFeed:
    """The history in this file, to be followed. Nothing is opened yet."""
    return SqliteFeed(path, clock, settings or SqliteSettings())
