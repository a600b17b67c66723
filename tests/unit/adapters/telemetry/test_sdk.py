"""Live spans as bytes, beside what OpenTelemetry's own exporter writes; and a backend that is away for a while."""

import logging
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from saga.adapters.telemetry import sdk
from saga.adapters.telemetry.connection import HttpConnection
from saga.adapters.telemetry.sdk import LiveExporter, export_live_spans, request, written
from tests.otlp import Backend, Watch

NOBODY = Resource.get_empty()


def made() -> list[ReadableSpan]:
    """A trace with one of everything a span can have."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "bank", "service.instance": 3}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("http")
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        attributes: dict[str, Any] = {"s": "é", "i": -5, "f": 1.5, "b": True, "l": [1, 2], "t": ("a", "b"), "n": []}
        attributes |= {"m": {"k": 1}, "y": b"\x00"}
        links = [trace.Link(parent.get_span_context(), {"saga.link.kind": "about"})]
        with tracer.start_as_current_span("child", attributes=attributes, links=links, kind=SpanKind.CLIENT) as child:
            child.add_event("told", {"to": "ann"}, timestamp=1_767_225_600_000_000_001)
            child.set_status(Status(StatusCode.ERROR, "no luck"))
    provider.get_tracer("other").start_span("alone", kind=SpanKind.CONSUMER).end()
    return list(kept.get_finished_spans())


def comparable(found: ExportTraceServiceRequest) -> list[str]:
    """Every span with its resource and scope, as text; fields we leave out on purpose are cleared."""
    lines = []
    for resource in found.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.flags = 0
                if not span.status.code:
                    span.ClearField("status")
                for link in span.links:
                    link.flags = 0
                lines.append(f"{resource.resource} {scope.scope.name} {span}")
    return sorted(lines)


def test_it_says_what_the_generated_classes_say() -> None:
    """Kinds, typed values, lists, events, links, status, resource and scope."""
    spans = made()
    ours = ExportTraceServiceRequest.FromString(request([written(span, NOBODY) for span in spans]))
    assert comparable(ours) == comparable(ExportTraceServiceRequest.FromString(encode_spans(spans).SerializeToString()))


def test_what_could_not_be_sent_is_sent_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded amount of it, the newest."""
    spans = made()
    with Backend() as backend:
        exporter = LiveExporter(HttpConnection(backend.url, {}, Watch()), NOBODY)
        backend.status = 503
        assert exporter.export(spans[:1]) is SpanExportResult.FAILURE
        backend.status = 200
        assert exporter.export(spans[1:2]) is SpanExportResult.SUCCESS
        assert [span.name for span in backend.spans()] == [span.name for span in spans[:2]]
        monkeypatch.setattr(sdk, "UNSENT_BYTES_MAX", 1)
        backend.status = 429
        with caplog.at_level(logging.WARNING):
            exporter.export(spans[:1])
            exporter.export(spans[2:])
        backend.status = 200
        exporter.export([])
        assert [span.name for span in backend.spans()][2:] == [spans[2].name]
        exporter.shutdown()
    assert "dropped" in caplog.text


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_called_malformed_is_dropped_and_said(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Or it would be sent for ever, and everything after it would wait."""
    spans = made()
    with Backend() as backend:
        exporter = LiveExporter(HttpConnection(backend.url, {}, Watch()), NOBODY)
        backend.status = status
        assert exporter.export(spans[:1]) is SpanExportResult.SUCCESS
        backend.status = 200
        exporter.export(spans[1:2])
        assert [span.name for span in backend.spans()] == [spans[1].name]
        exporter.shutdown()
    assert "malformed" in caplog.text


def test_a_backend_that_is_away_raises_nothing() -> None:
    """The SDK's thread goes on."""
    exporter = LiveExporter(HttpConnection("http://127.0.0.1:1", {}, Watch()), NOBODY)
    assert exporter.export(made()) is SpanExportResult.FAILURE


def test_an_address_that_is_none() -> None:
    """It is said at once, and no provider is set."""
    with pytest.raises(ValueError, match="wanted http"):
        export_live_spans("bank", "collector:4318", {}, Watch())
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_a_backend_that_asks_for_patience_is_left_alone() -> None:
    """What ends meanwhile is kept, and goes out with the rest when the time is over."""
    spans, watch = made(), Watch()
    with Backend() as backend:
        exporter = LiveExporter(HttpConnection(backend.url, {}, watch), NOBODY)
        backend.status, backend.retry_after = 503, "30"
        for span in spans[:2]:
            assert exporter.export([span]) is SpanExportResult.FAILURE
        backend.status = 200
        watch.seconds = 29.9
        assert exporter.export(spans[2:]) is SpanExportResult.FAILURE
        assert backend.turned_away_count == 1
        watch.seconds = 30.0
        assert exporter.export([]) is SpanExportResult.SUCCESS
        assert [span.name for span in backend.spans()] == [span.name for span in spans]
        exporter.shutdown()


def test_what_is_too_large_arrives_in_parts(caplog: pytest.LogCaptureFixture) -> None:
    """As small as the backend wants them, in order, each once; only a span that is too large alone is dropped."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "bank"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number in range(20):
        name = f"{number} {'x' * 5_000 if number == 7 else ''}".strip()
        provider.get_tracer("http").start_span(name).end()
    spans = kept.get_finished_spans()
    with Backend() as backend:
        exporter = LiveExporter(HttpConnection(backend.url, {}, Watch()), NOBODY)
        backend.body_bytes_max = 3 * len(request([written(spans[0], NOBODY)]))
        assert exporter.export(spans) is SpanExportResult.SUCCESS
        assert [span.name for span in backend.spans()] == [str(number) for number in range(20) if number != 7]
        assert exporter.rejected == 1
        assert exporter.export(spans[:1]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert "malformed" in caplog.text
