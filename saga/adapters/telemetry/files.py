"""Spans as JSON files: OTLP's own JSON form, and the form that Jaeger's upload reads."""

from collections.abc import Sequence
from typing import Final

import msgspec

from saga.adapters.telemetry.otlp import KINDS, SCOPE, SERVICE_NAME, STATUS_ERROR
from saga.core.spans import Link, Span

LINK_KIND: Final = "saga.link.kind"
_PROCESS: Final = "p1"


def otlp_json(spans: Sequence[Span]) -> bytes:
    """An OTLP request as JSON: ids in hex, 64-bit numbers as strings, as the specification says."""
    resource = {"attributes": [_attribute("service.name", SERVICE_NAME)]}
    scope = {"scope": {"name": SCOPE}, "spans": [_otlp_span(span) for span in spans]}
    return _encoded({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})


def jaeger_json(spans: Sequence[Span]) -> bytes:
    """What Jaeger's query API answers and its page takes as an upload: one trace, microseconds."""
    trace = spans[0].trace if spans else ""
    return _encoded(
        {
            "data": [
                {
                    "traceID": trace,
                    "spans": [_jaeger_span(span) for span in spans],
                    "processes": {_PROCESS: {"serviceName": SERVICE_NAME, "tags": []}},
                    "warnings": None,
                }
            ]
        }
    )


def _encoded(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _otlp_span(span: Span) -> dict[str, object]:
    found: dict[str, object] = {"traceId": span.trace, "spanId": span.id}
    if span.parent:
        found["parentSpanId"] = span.parent
    found |= {
        "name": span.name,
        "kind": KINDS[span.kind],
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": [_attribute(name, value) for name, value in span.attributes],
    }
    if span.links:
        found["links"] = [_otlp_link(link) for link in span.links]
    if span.error:
        found["status"] = {"code": STATUS_ERROR}
    return found


def _otlp_link(link: Link) -> dict[str, object]:
    return {"traceId": link.trace, "spanId": link.span, "attributes": [_attribute(LINK_KIND, link.kind)]}


def _attribute(key: str, value: str | int | bool) -> dict[str, object]:  # noqa: FBT001 - the value of an attribute
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case str():
            return {"key": key, "value": {"stringValue": value}}


def _jaeger_span(span: Span) -> dict[str, object]:
    references = [_reference("CHILD_OF", span.trace, span.parent)] if span.parent else []
    references += [_reference("FOLLOWS_FROM", link.trace, link.span) for link in span.links]
    tags = [_tag("span.kind", span.kind.value), *(_tag(name, value) for name, value in span.attributes)]
    if span.error:
        tags += [_tag("error", value=True), _tag("otel.status_code", "ERROR")]
    return {
        "traceID": span.trace,
        "spanID": span.id,
        "operationName": span.name,
        "references": references,
        "startTime": span.start_ns // 1_000,
        "duration": (span.end_ns - span.start_ns) // 1_000,
        "tags": tags,
        "logs": [],
        "processID": _PROCESS,
        "warnings": None,
    }


def _reference(kind: str, trace: str, span: str) -> dict[str, object]:
    return {"refType": kind, "traceID": trace, "spanID": span}


def _tag(key: str, value: str | int | bool) -> dict[str, object]:  # noqa: FBT001 - the value of a tag
    match value:
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int():
            return {"key": key, "type": "int64", "value": value}
        case str():
            return {"key": key, "type": "string", "value": value}
