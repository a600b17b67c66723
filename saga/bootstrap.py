"""Puts the parts together: the only module that sees adapters, engine and settings at once."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from saga.adapters.memory.bus import MemoryBroker
from saga.client import CallerBus
from saga.core.errors import SagaError
from saga.core.metrics.tally import Tallies
from saga.core.sampling import sampling_of
from saga.core.topology import wanted_topology
from saga.define import Definition
from saga.engine.catalog import Catalog
from saga.engine.follow import Follower, Sink
from saga.engine.lifecycle import LifecycleSink
from saga.engine.settings import TRACING, EngineSettings, FollowSettings, Trust
from saga.engine.traces import TraceSink
from saga.engine.worker import Census, Following, Orchestrator
from saga.participant import Participant, Serving
from saga.ports import Database, Definitions, StoredDefinition, TraceBackend, Tracing
from saga.settings import Settings, masked
from saga.stores import CLOCK as CLOCK
from saga.stores import IDS as IDS
from saga.stores import WrongAddress as WrongAddress
from saga.stores import open_feed as open_feed
from saga.stores import open_store as open_store


async def open_bus(url: str, *, name: str, identify: bool = True) -> CallerBus:
    """The broker: RabbitMQ, or the one inside a running `saga dev`, which always says who sends.

    Raises WrongAddress, or Unavailable.
    """
    if url.startswith("dev://"):
        from saga.adapters.memory.guest import GuestBus

        address = urlsplit(url)
        return await GuestBus.open(Path(address.path), user=address.username or "dev")
    if not url.startswith(("amqp://", "amqps://")):
        raise WrongAddress(
            f"broker {masked(url)!r} is not known. Fix: amqp://user:password@host:port/vhost, "
            "or the dev:///folder that a running `saga dev` prints"
        )
    from saga.adapters.rabbitmq import RabbitBus

    try:
        return await RabbitBus.open(url, name=name, identify=identify)
    except ValueError as error:
        reason, _, fix = str(error).partition(" Fix: ")
        raise WrongAddress(
            f"broker {masked(url)!r}: {reason}. Fix: {fix or 'amqp://user:password@host:5672/vhost'}"
        ) from None


@asynccontextmanager
async def shared_broker(services: Iterable[str], folder: Path) -> AsyncIterator[MemoryBroker]:
    """A broker in this process, which `open_bus("dev://" + folder)` reaches from other processes. Raises Unavailable.

    It loses everything when the process ends.
    """
    from saga.adapters.memory.sharing import SharedBroker

    broker = MemoryBroker(wanted_topology(services))
    shared = SharedBroker(broker, folder)
    await shared.open()
    try:
        yield broker
    finally:
        await shared.close()


async def apply_topology(url: str, services: Iterable[str]) -> list[str]:
    """Declare what is missing on a broker; returns what is left to do by hand. Raises Unavailable."""
    from saga.adapters.rabbitmq.topology import apply

    return await apply(url, wanted_topology(services))


def trust_of(settings: Settings) -> Trust:
    """Whose word counts."""
    approvers = {person: frozenset(roles) for person, roles in settings.approvers.items()}
    ours = urlsplit(settings.amqp).username or "guest"
    return Trust(
        gateways=frozenset(settings.gateways),
        approvers=approvers,
        orchestrators=frozenset({unquote(ours), *settings.orchestrators}),
    )


def engine_settings(settings: Settings) -> EngineSettings:
    """What of the settings the engine needs."""
    return EngineSettings(
        max_in_flight=settings.max_in_flight,
        trust=trust_of(settings),
        sampling=sampling_of(settings.trace_sampling),
    )


@asynccontextmanager
async def orchestrator(
    settings: Settings, bus: CallerBus, tallies: Tallies | None = None
) -> AsyncIterator[Orchestrator]:
    """An orchestrator over an open broker and the configured store, which may be away; both are closed at the end."""
    try:
        store = await open_store(settings.store)
        try:
            yield Orchestrator(store, bus, CLOCK, IDS, engine_settings(settings), tallies=tallies)
        finally:
            await store.close()
    finally:
        await bus.close()


@asynccontextmanager
async def following(
    settings: Settings, *, name: str, follow: FollowSettings | None = None, tallies: Tallies | None = None
) -> AsyncIterator[Following]:
    """Everything that follows the history of the configured store; both it and the broker may be away.

    It has connections of its own to both, so that nothing it does or suffers touches an orchestrator beside it.
    """
    chosen = follow or FollowSettings()
    async with AsyncExitStack() as stack:
        store = await open_store(settings.store)
        stack.push_async_callback(store.close)
        catalog, sagas_max = Catalog(store, CLOCK), chosen.cache_sagas_max
        lifecycle = LifecycleSink(
            store, catalog, lambda: open_bus(settings.amqp, name=name), sagas_max=sagas_max, tallies=tallies
        )
        stack.push_async_callback(lifecycle.close)
        sinks: dict[str, tuple[Sink, FollowSettings]] = {"lifecycle": (lifecycle, chosen)}
        if settings.otlp:
            backend = trace_backend(settings, settings.otlp)
            stack.push_async_callback(backend.close)
            traces = TraceSink(store, catalog, backend, texts=settings.trace_texts, sagas_max=sagas_max)
            sinks["traces"] = (traces, follow or TRACING)
        followers: list[Follower] = []
        for sink_name, (sink, pace) in sinks.items():
            feed = await open_feed(settings.store)
            stack.push_async_callback(feed.close)
            followers.append(Follower(sink_name, sink, feed, CLOCK, pace, owner=IDS.message()))
        if tallies is None:
            yield Following(followers, chosen)
            return
        feed = await open_feed(settings.store)
        stack.push_async_callback(feed.close)
        loops = Following(followers, chosen, Census(store, feed, CLOCK, owner=IDS.message()))
        loops.show(tallies, CLOCK)
        yield loops


class OwnDatabase(Database, Protocol):
    """A service's database as an adapter opens it."""

    async def migrate(self, service: str, migrations: Path | None = None) -> Sequence[str]: ...

    async def pending(self, service: str, migrations: Path | None = None) -> Sequence[str]: ...

    async def close(self) -> None: ...


class NotMigrated(SagaError):
    """A participant's database lacks tables."""

    code = "SAGA-4008"


async def open_database(url: str) -> OwnDatabase:
    """A participant's own database. Raises WrongAddress."""
    if url.startswith(("postgres://", "postgresql://")):
        from saga.adapters.postgres.database import PostgresDatabase

        return PostgresDatabase(url)
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
    database = await open_database(settings.database) if settings.database else None
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


def live_tracing(broker: str) -> Tracing:
    """Spans around commands, where this process has an OpenTelemetry SDK."""
    from saga.adapters.telemetry.live import LiveTracing, warn_of_doubles

    warn_of_doubles()
    return LiveTracing(broker)


@asynccontextmanager
async def live_spans(settings: Settings, service: str) -> AsyncIterator[None]:
    """Live spans go to the configured backend as long as this lasts, unless the process has an SDK of its own.

    Raises WrongAddress.
    """
    if not settings.otlp:
        yield
        return
    from saga.adapters.telemetry.sdk import export_live_spans

    try:
        flush = export_live_spans(service, settings.otlp, headers_of(settings), CLOCK.monotonic)
    except ValueError as error:
        raise wrong_backend(settings.otlp, error) from None
    try:
        yield
    finally:
        await asyncio.to_thread(flush)


def trace_backend(settings: Settings, url: str) -> TraceBackend:
    """A tracing backend, which may be away. Raises WrongAddress."""
    from saga.adapters.telemetry.backend import OtlpBackend

    try:
        return OtlpBackend(url, headers_of(settings), CLOCK.monotonic)
    except ValueError as error:
        raise wrong_backend(url, error) from None


def wrong_backend(url: str, error: ValueError) -> WrongAddress:
    """A telemetry backend that cannot be one, for whoever set it."""
    return WrongAddress(
        f"tracing backend {masked(url)!r} is not known: {error}. Fix: OTLP over HTTP, e.g. http://collector:4318"
    )


def headers_of(settings: Settings) -> dict[str, str]:
    """What each request to the tracing backend carries."""
    pairs = (header.partition("=") for header in settings.otlp_headers)
    return {name.strip(): value for name, _, value in pairs}


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


async def publish(store: Definitions, definition: Definition[Any, Any]) -> Sequence[Definition[Any, Any]]:
    """Publish a definition, its sub-sagas before it; returns all of them. Raises DefinitionConflict, Unavailable."""
    family = tuple(definition.family())
    for member in family:
        await store.publish(stored(member))
    return family


def stored(definition: Definition[Any, Any]) -> StoredDefinition:
    """A definition as the store keeps it."""
    return StoredDefinition(definition.hash, definition.name, definition.version, definition.canonical)
