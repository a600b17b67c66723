"""A trace as Jaeger's query API answers it (`/api/traces/<id>`), read as spans of ours."""

from typing import Any

import msgspec

from saga.core.spans import Link, Span, SpanKind

LINK_KIND = "followed"
"""Jaeger keeps where a link leads, and not what kind it is."""


class Told(msgspec.Struct, frozen=True):
    """A span, and the service that told Jaeger of it."""

    service: str
    span: Span


def spans_of(answer: bytes) -> list[Told]:
    """All spans of the one trace. Fails when there is another number of traces, or Jaeger had something to say."""
    body = msgspec.json.decode(answer)
    assert not body.get("errors"), body["errors"]
    (trace,) = body["data"]
    assert not trace.get("warnings"), trace["warnings"]
    return [Told(trace["processes"][each["processID"]]["serviceName"], _span(each)) for each in trace["spans"]]


def _span(given: dict[str, Any]) -> Span:
    parents = [each for each in given["references"] if each["refType"] == "CHILD_OF"]
    links = [each for each in given["references"] if each["refType"] == "FOLLOWS_FROM"]
    tags = {tag["key"]: tag["value"] for tag in given["tags"]}
    return Span(
        trace=given["traceID"].zfill(32),  # some versions leave out zeros in front
        id=given["spanID"].zfill(16),
        parent=parents[0]["spanID"].zfill(16) if parents else "",
        name=given["operationName"],
        kind=SpanKind.PRODUCER if tags.get("span.kind") == SpanKind.PRODUCER else SpanKind.INTERNAL,
        start_ns=given["startTime"] * 1_000,
        end_ns=(given["startTime"] + given["duration"]) * 1_000,
        attributes=tuple(sorted((key, value) for key, value in tags.items() if key.startswith("saga."))),
        error="error" if tags.get("error") else "",
        links=tuple(Link(each["traceID"].zfill(32), each["spanID"].zfill(16), LINK_KIND) for each in links),
    )


def same(ours: list[Told], jaegers: list[Told], *, service: str) -> list[str]:
    """How Jaeger's spans of this service differ from those rebuilt from the history; nothing when they do not."""
    wanted = {told.span.id: told.span for told in ours}
    found = {told.span.id: told.span for told in jaegers if told.service == service}
    missing = [f"missing: {span.name}" for id_, span in wanted.items() if id_ not in found]
    strange = [f"nobody's: {span.name}" for id_, span in found.items() if id_ not in wanted]
    changed = [f"changed: {span.name}" for id_, span in wanted.items() if found.get(id_, span) != span]
    twice = len([told for told in jaegers if told.service == service]) - len(found)
    return [*missing, *strange, *changed, *([f"{twice} more than once"] if twice else [])]
