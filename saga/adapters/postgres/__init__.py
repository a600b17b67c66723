"""The store in Postgres."""

from saga.adapters.postgres.connection import PostgresSettings
from saga.adapters.postgres.store import PostgresStore

__all__ = ["PostgresSettings", "PostgresStore", "open_store"]


async def open_store(dsn: str, settings: PostgresSettings | None = None) -> PostgresStore:
    """The store at this dsn. Nothing is connected yet: a database that is away now is met by the first call."""
    return PostgresStore(dsn, settings or PostgresSettings())
