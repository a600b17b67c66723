"""The OpenTelemetry SDK of a participant process, for those who have not set it up themselves."""

import importlib.util
from collections.abc import Callable, Mapping

from opentelemetry import trace

from saga.adapters.telemetry.backend import TIMEOUT_SECONDS, TRACES_PATH
from saga.core.errors import SagaError

EXPORTER = "opentelemetry.exporter.otlp.proto.http"


class NoExporter(SagaError):
    """A backend is configured, and the library that sends live spans to it is not installed."""

    code = "SAGA-1015"


def export_live_spans(service: str, url: str, headers: Mapping[str, str]) -> Callable[[], None]:
    """Send the live spans of this process to a backend; returns what flushes and stops it.

    A provider that is set already is somebody's own choice and stays. Raises NoExporter.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _nothing
    if not _installed():
        raise NoExporter(
            "SAGA_OTLP asks for live spans, and nothing that sends them is installed. "
            "Fix: pip install 'saga-engine[otlp]', or leave SAGA_OTLP out for this process"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    place = url.rstrip("/")
    place = place if place.endswith(TRACES_PATH) else place + TRACES_PATH
    exporter = OTLPSpanExporter(endpoint=place, headers=dict(headers), timeout=TIMEOUT_SECONDS)
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _installed() -> bool:
    try:
        return importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:
        return False


def _nothing() -> None:
    """Whoever set the provider up ends it."""
