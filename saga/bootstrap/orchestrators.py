"""What orchestrates, and what follows the history."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import unquote, urlsplit

from saga.bootstrap.brokers import open_bus
from saga.bootstrap.telemetry import trace_backend
from saga.core.metrics.tally import Tallies
from saga.core.sampling import sampling_of
from saga.engine.catalog import Catalog
from saga.engine.follow import Follower, Sink
from saga.engine.lifecycle import LifecycleSink
from saga.engine.settings import TRACING, EngineSettings, FollowSettings, Trust
from saga.engine.traces import TraceSink
from saga.engine.worker import Census, Following, Orchestrator
from saga.ports import CallerBus
from saga.settings import Settings
from saga.stores import CLOCK, IDS, open_feed, open_store


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
