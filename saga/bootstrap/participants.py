"""Participants, over the broker and databases of their own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from saga.bootstrap.brokers import open_bus
from saga.bootstrap.telemetry import live_spans, live_tracing
from saga.core.errors import SagaError
from saga.core.metrics.tally import Tallies
from saga.participant import Participant, Serving
from saga.participant.declaration import CONCURRENCY_DEFAULT
from saga.ports import CallerBus, Database
from saga.settings import Settings, masked
from saga.stores import CLOCK, WrongAddress


class OwnDatabase(Database, Protocol):
    """A service's database as an adapter opens it."""

    async def migrate(self, service: str, migrations: Path | None = None) -> Sequence[str]: ...

    async def pending(self, service: str, migrations: Path | None = None) -> Sequence[str]: ...

    async def close(self) -> None: ...


class NotMigrated(SagaError):
    """A participant's database lacks tables."""

    code = "SAGA-4008"


async def open_database(url: str, concurrency: int = CONCURRENCY_DEFAULT) -> OwnDatabase:
    """A participant's own database, for as many handlers at once. Raises WrongAddress."""
    if url.startswith(("postgres://", "postgresql://")):
        from saga.adapters.postgres.database import DatabaseSettings, PostgresDatabase

        return PostgresDatabase(url, DatabaseSettings(connections_max=concurrency))
    if url.startswith("sqlite:///"):
        from saga.adapters.sqlite.database import SqliteDatabase

        return SqliteDatabase(url.removeprefix("sqlite:///"), clock=CLOCK)
    raise WrongAddress(
        f"database {masked(url)!r} is not known. Fix: postgres://user@host/database, or sqlite:///path/file.db"
    )


@asynccontextmanager
async def serving(
    settings: Settings, participant: Participant, *, name: str, migrate: bool, tallies: Tallies | None = None
) -> AsyncIterator[tuple[Serving, CallerBus]]:
    """A participant over the configured broker and its database; both are closed at the end.

    Raises NotMigrated, NoDatabase, WrongAddress, Unavailable.
    """
    database = await open_database(settings.database, participant.concurrency) if settings.database else None
    try:
        if database is not None:
            await prepare(database, participant, migrate=migrate)
        at_work = Serving(participant, database, CLOCK, name, tracing=live_tracing(settings.amqp), tallies=tallies)
        bus = await open_bus(settings.amqp, name=name)
        try:
            async with live_spans(settings, participant.service):
                yield at_work, bus
        finally:
            await bus.close()
    finally:
        if database is not None:
            await database.close()


async def prepare(database: OwnDatabase, participant: Participant, *, migrate: bool) -> None:
    """Make its tables, or see that they are there. Raises NotMigrated, SchemaMismatch, Unavailable."""
    if migrate:
        await database.migrate(participant.service, participant.migrations)
        return
    pending = await database.pending(participant.service, participant.migrations)
    if pending:
        raise NotMigrated(
            f"the database of {participant.service} lacks {', '.join(pending)}. "
            "Fix: saga serve … --migrate, or apply `saga inbox sql` and the service's migrations yourself"
        )


def inbox_sql(dialect: str) -> str:
    """The inbox tables, as statements."""
    if dialect == "postgres":
        from saga.adapters.postgres import database
    else:
        from saga.adapters.sqlite import database  # type: ignore[no-redef]  # one of the two, by name
    return database.inbox_sql()
