"""The live span of a participant: in the right place of the saga's trace, by the conventions, and only with an SDK."""

import logging
import sys
from types import ModuleType

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes as conventions
from opentelemetry.semconv.attributes import server_attributes
from opentelemetry.trace import SpanKind, StatusCode

from saga.adapters.telemetry import live
from saga.adapters.telemetry.live import LiveTracing, warn_of_doubles
from saga.core.identity import traceparent
from saga.core.messages import CommandMessage, Outcome
from tests.unit.participant.till import QUEUE, pay

ROOT = "01930000-0000-7000-8000-000000000001"
SECRET = "hunter2-4111"


class Scope:
    """A process with an SDK that keeps its spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.live = LiveTracing(f"amqp://bank:{SECRET}@broker:5673/shop", provider=self.provider)

    def work(self, command: CommandMessage, outcome: Outcome = Outcome.OK, code: str = "") -> ReadableSpan:
        """Process one command, with a span of the handler's own; the span around it."""
        with self.live.processing(command, QUEUE) as answered:
            self.provider.get_tracer("http").start_span("GET /charge").end()
            answered(outcome, code)
        return self.spans()[f"process saga.commands:bank.Pay.v1:{QUEUE}"]

    def spans(self) -> dict[str, ReadableSpan]:
        """By name."""
        return {span.name: span for span in self.exporter.get_finished_spans()}


def sent(*, sampled: bool = True) -> CommandMessage:
    """A command as the engine sends it."""
    return msgspec.structs.replace(pay(), traceparent=traceparent(ROOT, "ab" * 8, sampled=sampled), tracestate="v=1")


def test_it_is_a_child_of_the_attempt() -> None:
    """In the saga's own trace; what the handler does is below it, and the attempt is linked as the conventions ask."""
    scope = Scope()
    span = scope.work(sent())
    assert span.parent is not None
    assert span.context is not None
    assert f"{span.parent.span_id:016x}" == "ab" * 8
    assert f"{span.context.trace_id:032x}" == ROOT.replace("-", "")
    assert [link.context.span_id for link in span.links] == [span.parent.span_id]
    handlers = scope.spans()["GET /charge"]
    assert handlers.parent is not None
    assert handlers.parent.span_id == span.context.span_id


def test_names_are_those_of_the_conventions() -> None:
    """Strings are written out in our module; the package says the same."""
    attributes = dict(Scope().work(sent()).attributes or {})
    assert attributes[conventions.MESSAGING_SYSTEM] == conventions.MessagingSystemValues.RABBITMQ.value
    assert attributes[conventions.MESSAGING_OPERATION_NAME] == "process"
    assert attributes[conventions.MESSAGING_OPERATION_TYPE] == conventions.MessagingOperationTypeValues.PROCESS.value
    assert attributes[conventions.MESSAGING_DESTINATION_NAME] == f"saga.commands:bank.Pay.v1:{QUEUE}"
    assert attributes[conventions.MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY] == "bank.Pay.v1"
    assert attributes[conventions.MESSAGING_MESSAGE_ID] == sent().message_id
    assert attributes[conventions.MESSAGING_MESSAGE_CONVERSATION_ID] == sent().saga
    assert attributes[server_attributes.SERVER_ADDRESS] == "broker"
    assert attributes[server_attributes.SERVER_PORT] == 5673
    assert attributes["saga.step.attempt"] == 3
    assert Scope().work(sent()).kind is SpanKind.CONSUMER


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.RETRY, Outcome.REFUSED])
def test_an_answer_that_is_not_ok_is_an_error(outcome: Outcome) -> None:
    """With its code, and no text of anybody's."""
    span = Scope().work(sent(), outcome, "Declined")
    attributes = dict(span.attributes or {})
    assert (attributes["saga.outcome"], attributes["error.type"]) == (outcome.value, "Declined")
    assert span.status.status_code is StatusCode.ERROR
    assert Scope().work(sent()).status.status_code is StatusCode.UNSET


def test_a_saga_that_is_not_sampled_has_no_live_spans() -> None:
    """The flag of its commands decides, also for what the handler does."""
    scope = Scope()
    with scope.live.processing(sent(sampled=False), QUEUE) as answered:
        scope.provider.get_tracer("http").start_span("GET /charge").end()
        answered(Outcome.OK, "")
    assert scope.spans() == {}


def test_without_a_trace_it_is_a_root() -> None:
    """A foreign sender may leave the header out."""
    span = Scope().work(msgspec.structs.replace(pay(), traceparent=None))
    assert span.parent is None
    assert span.links == ()


def test_secrets_stay_out() -> None:
    """Neither the body nor a header nor the broker's password, nor a code that is a sentence."""
    command = msgspec.structs.replace(sent(), body=SECRET.encode(), business_key=SECRET)
    span = Scope().work(command, Outcome.FAILED, f"no {SECRET}!")
    assert SECRET not in span.to_json()


def test_an_exception_leaves_with_its_own_name() -> None:
    """The span ends, nothing of the exception's text is kept in it."""
    scope = Scope()
    with pytest.raises(ZeroDivisionError), scope.live.processing(sent(), QUEUE):
        raise ZeroDivisionError(SECRET)
    (span,) = scope.exporter.get_finished_spans()
    assert SECRET not in span.to_json()


def test_without_an_sdk_nothing_is_made() -> None:
    """This process has none."""
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    with LiveTracing().processing(sent(), QUEUE) as answered:
        answered(Outcome.OK, "")
        assert not trace.get_current_span().get_span_context().is_valid


def test_a_second_instrumentation_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only if it is active; its package has this class, whose instances are one."""

    class AioPikaInstrumentor:
        is_instrumented_by_opentelemetry = False

    module = ModuleType(live.AIO_PIKA_INSTRUMENTATION)
    module.AioPikaInstrumentor = AioPikaInstrumentor  # type: ignore[attr-defined]  # stands for the real one
    monkeypatch.setitem(sys.modules, live.AIO_PIKA_INSTRUMENTATION, module)
    monkeypatch.setattr(live, "_doubles_told", [])
    with caplog.at_level(logging.WARNING):
        assert not warn_of_doubles()
        monkeypatch.setattr(AioPikaInstrumentor, "is_instrumented_by_opentelemetry", True)
        assert warn_of_doubles()
        assert warn_of_doubles()
    (record,) = caplog.records
    assert record.message.endswith("Fix: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=aio_pika")
