"""The store in Postgres."""

from saga.adapters.postgres.connection import PostgresSettings
from saga.adapters.postgres.feed import PostgresFeed
from saga.adapters.postgres.store import PostgresStore

__all__ = ["PostgresFeed", "PostgresSettings", "PostgresStore", "open_feed", "open_store"]


async def open_store(dsn: str, settings: PostgresSettings | None = None) -> PostgresStore:
    """The store at this dsn. Nothing is connected yet: a database that is away now is met by the first call."""
    return PostgresStore(dsn, settings or PostgresSettings())


async def open_feed(dsn: str, settings: PostgresSettings | None = None) -> PostgresFeed:
    """The history of the store at this dsn, to be followed. Nothing is connected yet."""
    return PostgresFeed(dsn, settings or PostgresSettings(application_name="saga-follower"))
