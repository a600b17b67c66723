"""Our spans as bytes: read back by the generated classes of opentelemetry-proto, and as the JSON that viewers take."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from saga.adapters.telemetry.files import jaeger_json, otlp_json
from saga.adapters.telemetry.otlp import request
from saga.core.spans import Link, Span, SpanKind
from tests.otlp import read

TRACE = "0193" + "ab" * 14
SPAN = Span(
    trace=TRACE,
    id="01" * 8,
    parent="02" * 8,
    name="send saga.commands:payments.ChargeCard.v1",
    kind=SpanKind.PRODUCER,
    start_ns=1_767_225_600_000_001_000,
    end_ns=1_767_225_600_000_002_000,
    attributes=(("saga.id", "x"), ("saga.step.attempt", 1), ("saga.rebuilt", True), ("error.type", "timeout")),
    error="timeout",
    links=(Link("c" * 32, "d" * 16, "started_by"),),
)
ROOT = Span(
    trace=TRACE, id="02" * 8, parent="", name="order started", kind=SpanKind.INTERNAL, start_ns=1, end_ns=1,
    attributes=(),
)  # fmt: skip

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """Any span we could make."""
    value = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    attributes = draw(st.dictionaries(NAME.filter(lambda name: name != "error.type"), value, max_size=5))
    error = draw(st.sampled_from(["", "timeout"]))
    if error:
        attributes["error.type"] = error
    links = st.builds(Link, _hex(32), _hex(16), st.sampled_from(["about", "compensates"]))
    return Span(
        trace=draw(_hex(32)),
        id=draw(_hex(16)),
        parent=draw(st.just("") | _hex(16)),
        name=draw(NAME),
        kind=SpanKind.INTERNAL,
        start_ns=draw(st.integers(1, 2**64 - 1)),
        end_ns=draw(st.integers(1, 2**64 - 1)),
        attributes=tuple(attributes.items()),
        error=error,
        links=tuple(draw(st.lists(links, max_size=3))),
    )


def _hex(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=size, max_size=size)


@given(st.lists(spans(), max_size=4))
def test_what_is_written_is_read(given_spans: list[Span]) -> None:
    """Every field of every span arrives, and nothing else; the bytes are those the generated classes would write."""
    body = request(given_spans)
    assert [each.span for each in read(body)] == given_spans
    assert ExportTraceServiceRequest.FromString(body).SerializeToString(deterministic=True) == body


def test_a_span_for_real() -> None:
    """Ids, kind, times, typed attributes, links and status as the proto names them."""
    (received,) = read(request([SPAN]))
    assert received.service == "saga"
    assert received.kind == "producer"
    assert received.span == msgspec.structs.replace(SPAN, kind=SpanKind.INTERNAL)


def test_true_is_not_one() -> None:
    """Values that Python calls equal keep their type."""
    ones = [msgspec.structs.replace(SPAN, attributes=(("n", value),), error="") for value in (1, True, "1", 1)]
    assert [each.span.attributes[0][1] for each in read(request(ones))] == [1, True, "1", 1]
    assert [type(each.span.attributes[0][1]) for each in read(request(ones))] == [int, bool, str, int]


def test_otlp_as_json() -> None:
    """The JSON form: hex ids, 64-bit numbers as strings, a root without a parent."""
    document: dict[str, Any] = msgspec.json.decode(otlp_json([ROOT, SPAN]))
    (resource,) = document["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "saga"}}]
    root, span = resource["scopeSpans"][0]["spans"]
    assert "parentSpanId" not in root
    assert (span["traceId"], span["spanId"], span["parentSpanId"]) == (TRACE, "01" * 8, "02" * 8)
    assert span["startTimeUnixNano"] == "1767225600000001000"
    assert span["kind"] == 4
    assert span["attributes"][1] == {"key": "saga.step.attempt", "value": {"intValue": "1"}}
    assert span["attributes"][2] == {"key": "saga.rebuilt", "value": {"boolValue": True}}
    assert span["status"] == {"code": 2}
    assert span["links"][0]["spanId"] == "d" * 16


def test_jaegers_own_json() -> None:
    """What its page takes as an upload: one trace with its process, references by kind, microseconds as numbers."""
    document: dict[str, Any] = msgspec.json.decode(jaeger_json([ROOT, SPAN]))
    (trace,) = document["data"]
    assert trace["traceID"] == TRACE
    assert trace["processes"]["p1"]["serviceName"] == "saga"
    root, span = trace["spans"]
    assert root["references"] == []
    assert (span["startTime"], span["duration"]) == (1_767_225_600_000_001, 1)
    assert span["references"] == [
        {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "02" * 8},
        {"refType": "FOLLOWS_FROM", "traceID": "c" * 32, "spanID": "d" * 16},
    ]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in span["tags"]}
    assert tags["error"] == ("bool", True)
    assert tags["saga.step.attempt"] == ("int64", 1)
    assert tags["span.kind"] == ("string", "producer")
