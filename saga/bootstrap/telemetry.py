"""Where spans go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from saga.ports import TraceBackend, Tracing
from saga.settings import Settings, masked
from saga.stores import CLOCK, WrongAddress


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
