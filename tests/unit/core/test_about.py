"""What a log line says of a saga: the ids that its trace has."""

from saga.core.about import of_command, of_reply, of_saga
from saga.core.identity import trace_id, traceparent
from saga.core.messages import CommandMessage, Kind, Outcome
from tests.builders import reply

SAGA = "01930000-0000-7000-8000-000000000002"
ROOT = "01930000-0000-7000-8000-000000000001"
SPAN = "ab" * 8


def sent(traced: str | None) -> CommandMessage:
    """The third attempt of a step."""
    return CommandMessage(
        saga=SAGA,
        saga_name="order",
        saga_version=1,
        business_key="o-1",
        path="ship[2]/label",
        kind=Kind.ACTION,
        execution=1,
        attempt=3,
        service="shipping",
        command="Label",
        command_version=1,
        message_id="1" * 32,
        key="2" * 32,
        body=b"{}",
        traceparent=traced,
    )


def test_a_saga_stands_in_its_roots_trace() -> None:
    """The span is the one everything of the saga hangs below."""
    found = of_saga(SAGA, ROOT, "order")
    assert found == {
        "trace_id": trace_id(ROOT), "span_id": found["span_id"], "saga_id": SAGA, "saga_name": "order",
    }  # fmt: skip
    assert found["span_id"] != of_saga(ROOT, ROOT)["span_id"]
    assert of_saga(SAGA) == {"saga_id": SAGA}


def test_an_attempt_and_its_answer_are_of_one_span() -> None:
    """That of the attempt, unless the record was written in a span below it."""
    asked = sent(traceparent(ROOT, SPAN))
    spans = {"trace_id": trace_id(ROOT), "span_id": SPAN}
    place = {"saga_id": SAGA, "step": "ship[2]/label", "attempt": 3}
    assert of_command(asked) == {**spans, **place, "saga_name": "order"}
    assert of_command(asked, "cd" * 8)["span_id"] == "cd" * 8
    assert of_reply(reply(asked, Outcome.OK, traceparent=asked.traceparent)) == {**spans, **place}
    assert "trace_id" not in of_command(sent(None))
