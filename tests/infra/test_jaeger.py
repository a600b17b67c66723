"""What the run over Docker reads from Jaeger, on the form that Jaeger's answers have."""

from typing import Any

import msgspec
import pytest

from saga.adapters.telemetry.files import jaeger_json
from saga.core.spans import Link, Span, SpanKind
from tests.infra.jaeger import same, spans_of
from tests.spans import tree

TRACE = "01".zfill(32)


def span(number: int, parent: int = 0, **given: Any) -> Span:
    """One of a trace."""
    plain = Span(
        trace=TRACE,
        id=f"{number:016x}",
        parent=f"{parent:016x}" if parent else "",
        name=f"s{number}",
        kind=SpanKind.INTERNAL,
        start_ns=number * 1_000,
        end_ns=9_000,
        attributes=(),
    )
    return msgspec.structs.replace(plain, **given)


OURS = [
    span(1, attributes=(("saga.id", "x"), ("saga.version", 2))),
    span(2, 1, kind=SpanKind.PRODUCER, error="timeout"),
    span(3, 2, links=(Link(TRACE, f"{2:016x}", "compensates"),)),
]


def answer(spans: list[Span], **changed: Any) -> bytes:
    """As Jaeger gives it, with something else in each span."""
    document = msgspec.json.decode(jaeger_json(spans))
    for each in document["data"][0]["spans"]:
        each.update(changed)
    return msgspec.json.encode(document)


def test_spans_come_back_as_they_were() -> None:
    """The tree, names, times, links, and what makes an error."""
    told = spans_of(answer(OURS))
    assert {each.service for each in told} == {"saga"}
    assert tree([each.span for each in told]).lines() == ["s1", "  s2 !error", "    s3"]
    read = {each.span.id: each.span for each in told}
    assert [(read[each.id].start_ns, read[each.id].end_ns) for each in OURS] == [(n * 1_000, 9_000) for n in (1, 2, 3)]
    assert read[OURS[0].id].attributes == OURS[0].attributes
    assert [(link.trace, link.span) for link in read[OURS[2].id].links] == [(TRACE, OURS[1].id)]
    assert read[OURS[1].id].kind is SpanKind.PRODUCER


def test_differences_are_named() -> None:
    """What is missing, changed, doubled or nobody's; spans of other services are theirs."""
    ours = spans_of(answer(OURS))
    other = [msgspec.structs.replace(each, service="payments") for each in spans_of(answer([span(7, 2)]))]
    assert same(ours, [*ours, *other], service="saga") == []
    assert same(ours, ours[:2], service="saga") == ["missing: s3"]
    assert same(ours[:2], ours, service="saga") == ["nobody's: s3"]
    assert same(ours, spans_of(answer(OURS, operationName="else")), service="saga") == [
        *(f"changed: s{number}" for number in (1, 2, 3))
    ]
    assert same(ours, [*ours, ours[0]], service="saga") == ["1 more than once"]


def test_ids_without_their_zeros_are_the_same() -> None:
    """Our trace ids begin with one: they are times."""
    document = msgspec.json.decode(answer(OURS))
    for each in document["data"][0]["spans"]:
        each["traceID"], each["spanID"] = each["traceID"].lstrip("0"), each["spanID"].lstrip("0")
        for reference in each["references"]:
            reference["traceID"] = reference["traceID"].lstrip("0")
            reference["spanID"] = reference["spanID"].lstrip("0")
    assert spans_of(msgspec.json.encode(document)) == spans_of(answer(OURS))


def test_a_refusal_and_a_warning_are_no_trace() -> None:
    """Jaeger says in its answer what it did not find, and what it changed."""
    with pytest.raises(AssertionError, match="trace not found"):
        spans_of(b'{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}')
    document = msgspec.json.decode(answer(OURS))
    document["data"][0]["warnings"] = ["clock skew adjusted"]
    with pytest.raises(AssertionError, match="clock skew"):
        spans_of(msgspec.json.encode(document))
