"""What a log line says of the saga and the span it is about, under the names that OpenTelemetry gives ids in logs."""

from saga.core.identity import anchor_id, trace_id
from saga.core.messages import CommandMessage, ReplyMessage

Fields = dict[str, object]
"""`trace_id` (32 hex characters), `span_id` (16), `saga_id`, `saga_name`, `step`, `attempt`: those that are known."""


def of_saga(saga: str, root: str = "", name: str = "") -> Fields:
    """Of a saga as a whole; its span is the one everything hangs below. Without a root its trace is not known."""
    spans: Fields = {"trace_id": trace_id(root), "span_id": anchor_id(saga)} if root else {}
    return spans | ({"saga_id": saga, "saga_name": name} if name else {"saga_id": saga})


def of_command(command: CommandMessage, span: str = "") -> Fields:
    """Of one attempt; its own span, or one below it."""
    return {
        **_spans(command.traceparent, span),
        "saga_id": command.saga,
        "saga_name": command.saga_name,
        "step": command.path,
        "attempt": command.attempt,
    }


def of_reply(reply: ReplyMessage) -> Fields:
    """Of the attempt it says it answers."""
    return {
        **_spans(reply.traceparent),
        "saga_id": reply.saga,
        "step": reply.path,
        "attempt": reply.attempt,
    }


def _spans(traceparent: str | None, span: str = "") -> Fields:
    """The wire has checked the form."""
    if traceparent is None:
        return {}
    _, trace, attempt, _ = traceparent.split("-")
    return {"trace_id": trace, "span_id": span or attempt}
