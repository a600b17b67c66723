"""The span around a command that we write ourselves, beside the one that the SDK would have made."""

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from saga.adapters.telemetry import sdk
from saga.adapters.telemetry.connection import HttpConnection
from saga.adapters.telemetry.live import LiveTracing
from saga.adapters.telemetry.sdk import LiveExporter, LiveProvider, Sender, request, written
from saga.adapters.telemetry.span import ADDED_MAX, CommandSpan
from saga.core.identity import traceparent
from saga.core.messages import CommandMessage, Outcome
from tests.otlp import Backend, Received, Watch
from tests.spans import attribute
from tests.unit.participant.till import QUEUE, pay

ROOT = "01930000-0000-7000-8000-000000000001"
BROKER = "amqp://bank:hunter2@broker:5673/shop"
RESOURCE = Resource({"service.name": "bank"})
NAME = f"process saga.commands:bank.Pay.v1:{QUEUE}"
ABOUT = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))


def sent(*, sampled: bool = True) -> CommandMessage:
    """A command as the engine sends it."""
    return msgspec.structs.replace(pay(), traceparent=traceparent(ROOT, "ab" * 8, sampled=sampled), tracestate="v=1")


class Bank:
    """A process that sends its spans to a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.provider = LiveProvider(RESOURCE, HttpConnection(backend.url, {}, Watch()))
        self.live = LiveTracing(BROKER, provider=self.provider)

    def received(self) -> dict[str, Received]:
        """What the backend has of it by now, by name."""
        assert self.provider.force_flush()
        return {each.span.name: each for each in self._backend.received()}


@pytest.fixture
def bank() -> Iterator[Bank]:
    """Ended with the test."""
    with Backend() as backend:
        made = Bank(backend)
        yield made
        made.provider.shutdown()


def by_the_sdk(command: CommandMessage, outcome: Outcome, code: str) -> Any:
    """The span that a provider of somebody's own makes, as OTLP."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with LiveTracing(BROKER, provider=provider).processing(command, QUEUE) as answered:
        answered(outcome, code)
    return the_span(request([written(span, RESOURCE) for span in kept.get_finished_spans()]))


def the_span(body: bytes) -> Any:
    """The only one of a request, without what is of each run: its own id and its times."""
    ((found,),) = [
        scope.spans for each in ExportTraceServiceRequest.FromString(body).resource_spans for scope in each.scope_spans
    ]
    for name in ("span_id", "start_time_unix_nano", "end_time_unix_nano", "trace_state"):
        found.ClearField(name)
    ordered = sorted(found.attributes, key=lambda each: each.key)
    found.ClearField("attributes")
    found.attributes.extend(ordered)
    return found


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.OK, ""), (Outcome.FAILED, "Declined"), (Outcome.RETRY, "no luck!")]
)
def test_it_is_the_span_that_the_sdk_makes(outcome: Outcome, code: str) -> None:
    """Name, kind, parent, link, every attribute and the status."""
    kept: list[CommandSpan] = []

    class Keeping(LiveProvider):
        def keep(self, span: CommandSpan) -> None:
            kept.append(span)

    provider = Keeping(RESOURCE, HttpConnection("http://127.0.0.1:1", {}, Watch()))
    with LiveTracing(BROKER, provider=provider).processing(sent(), QUEUE) as answered:
        answered(outcome, code)
    provider.shutdown()
    assert the_span(request([written(span, RESOURCE) for span in kept])) == by_the_sdk(sent(), outcome, code)


def test_what_a_handler_traces_is_below_it(bank: Bank) -> None:
    """Through the SDK of the process, in the saga's own trace, with the state that came with the command."""
    with bank.live.processing(sent(), QUEUE) as answered:
        with bank.provider.get_tracer("http").start_as_current_span("GET /charge") as own:
            assert own.get_span_context().trace_state.get("v") == "1"
        answered(Outcome.OK, "")
    assert not trace.get_current_span().get_span_context().is_valid
    found = bank.received()
    assert found["GET /charge"].span.parent == found[NAME].span.id
    assert found[NAME].span.parent == "ab" * 8
    assert {each.span.trace for each in found.values()} == {ROOT.replace("-", "")}
    assert {each.service for each in found.values()} == {"bank"}


def test_a_handler_may_add_to_it(bank: Bank) -> None:
    """What the API offers for any span; nothing once it has ended."""
    with bank.live.processing(sent(), QUEUE) as answered:
        current = trace.get_current_span()
        assert current.is_recording()
        current.set_attributes({"shop": "mitte", "items": 3})
        current.add_event("asked", {"to": "ann"}, timestamp=1_767_225_600_000_000_001)
        current.record_exception(ZeroDivisionError("no change"))
        current.add_link(ABOUT, {"saga.link.kind": "about"})
        current.set_status(Status(StatusCode.ERROR, "no luck"))
        current.update_name("another name")
        answered(Outcome.OK, "")
    current.set_attribute("late", 1)
    current.add_event("late")
    current.add_link(ABOUT)
    current.set_status(StatusCode.OK)
    current.update_name("late")
    current.end()
    assert not current.is_recording()
    found = bank.received()["another name"].span
    assert (attribute(found, "shop"), attribute(found, "items"), attribute(found, "late")) == ("mitte", 3, None)
    assert [(link.span, link.kind) for link in found.links] == [(f"{8:016x}", "about"), ("ab" * 8, "")]
    assert found.error == "error"
    assert len(bank.received()) == 1


def test_events_are_as_the_sdk_writes_them() -> None:
    """Of an exception: its kind, text and traceback."""
    kept: list[CommandSpan] = []
    error = KeyError("no change")
    for span in (CommandSpan(sent(), sdk_fixed(), ABOUT, kept.append), TracerProvider().get_tracer("").start_span("x")):
        span.record_exception(error, {"more": 1}, timestamp=5)
        span.end()
    ours = the_span(request([written(span, RESOURCE) for span in kept])).events[0]
    (theirs,) = span.events  # type: ignore[attr-defined]  # the SDK's
    assert {each.key: each.value.string_value or each.value.int_value for each in ours.attributes} == theirs.attributes
    assert (ours.name, ours.time_unix_nano) == (theirs.name, theirs.timestamp)


def sdk_fixed() -> Any:
    """Of no step in particular."""
    return LiveTracing()._fixed(sent(), QUEUE)


def test_what_is_added_has_a_bound() -> None:
    """A handler in a loop does not fill the memory."""
    kept: list[CommandSpan] = []
    span = CommandSpan(sent(), sdk_fixed(), ABOUT, kept.append)
    for number in range(ADDED_MAX * 2):
        span.set_attribute(f"a{number}", number)
        span.add_event("again")
        span.add_link(ABOUT)
    span.end()
    found = the_span(request([written(span, RESOURCE) for span in kept]))
    assert len(found.attributes) < ADDED_MAX + 20
    assert (len(found.events), len(found.links)) == (ADDED_MAX, ADDED_MAX + 1)


def test_a_saga_that_is_not_sampled_has_no_live_spans(bank: Bank) -> None:
    """The flag of its commands decides, also for what the handler does."""
    with bank.live.processing(sent(sampled=False), QUEUE) as answered:
        assert not trace.get_current_span().is_recording()
        bank.provider.get_tracer("http").start_span("GET /charge").end()
        answered(Outcome.FAILED, "Declined")
    assert bank.received() == {}


def test_without_a_trace_it_is_a_root(bank: Bank) -> None:
    """A foreign sender may leave the header out: the SDK makes it then."""
    with bank.live.processing(msgspec.structs.replace(pay(), traceparent=None), QUEUE) as answered:
        answered(Outcome.OK, "")
    assert (bank.received()[NAME].span.parent, bank.received()[NAME].span.links) == ("", ())


def test_an_exception_leaves_with_its_own_name(bank: Bank) -> None:
    """The span ends, nothing of the exception's text is kept in it."""
    with pytest.raises(ZeroDivisionError), bank.live.processing(sent(), QUEUE):
        raise ZeroDivisionError("hunter2")
    assert bank.received()[NAME].span.error == ""
    assert not trace.get_current_span().get_span_context().is_valid


class Slow(LiveExporter):
    """A backend that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(HttpConnection("http://127.0.0.1:1", {}, Watch()), RESOURCE)
        self.called, self.may_answer = threading.Event(), threading.Event()
        self.taken = 0

    def export(self, spans: Any) -> Any:
        self.called.set()
        self.may_answer.wait(10)
        self.taken += len(spans)


def test_what_waits_has_a_bound_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """While a backend is slow further spans are dropped, and that is said; what waits goes out at the end."""
    monkeypatch.setattr(sdk, "WAITING_SPANS_MAX", 3)
    monkeypatch.setattr(sdk, "INTERVAL_SECONDS", 0.001)
    slow = Slow()
    sender = Sender(slow)
    assert slow.called.wait(10)
    for _ in range(5):
        sender.keep(CommandSpan(sent(), sdk_fixed(), Link(ABOUT).context, lambda _: None))
    slow.may_answer.set()
    sender.shutdown()
    assert slow.taken == 3
    assert "dropped" in caplog.text
    sender.keep(CommandSpan(sent(), sdk_fixed(), ABOUT, lambda _: None))
    assert sender.force_flush()


def test_a_defect_does_not_end_the_sending(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The batch is lost, the next one is sent."""
    monkeypatch.setattr(sdk, "INTERVAL_SECONDS", 0.001)
    with Backend() as backend:
        provider = LiveProvider(RESOURCE, HttpConnection(backend.url, {}, Watch()))
        broken = CommandSpan(sent(), None, ABOUT, provider.keep)  # type: ignore[arg-type]  # what never happens
        broken.end()
        provider.force_flush()
        CommandSpan(sent(), sdk_fixed(), ABOUT, provider.keep).end()
        provider.shutdown()
        assert [each.span.name for each in backend.received()] == [NAME]
    assert "could not be written" in caplog.text
