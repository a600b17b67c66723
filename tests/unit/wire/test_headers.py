"""The table of headers says what the codec writes."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from saga.core.lifecycle import LifecycleEvent, Moment
from saga.core.messages import (
    CancelMessage,
    CommandMessage,
    Kind,
    Outcome,
    RefusedCode,
    ReplyEffect,
    ResultKind,
    ResultMessage,
    SignalMessage,
    StartMessage,
)
from saga.ports import Delivery, Outgoing
from saga.wire import (
    answer,
    cancel_to_wire,
    command_to_wire,
    lifecycle_to_wire,
    names,
    park_to_wire,
    reply_to_wire,
    result_to_wire,
    signal_to_wire,
    start_to_wire,
)
from saga.wire.headers import HEADERS, REFUSALS, Message, Need, headers_of

SAGA = "0197f3a0-0000-7000-8000-000000000001"
TRACE = f"00-{'1' * 32}-{'2' * 16}-01"
ACTION = CommandMessage(
    saga=SAGA,
    saga_name="order",
    saga_version=1,
    business_key="A-1",
    path="pay",
    kind=Kind.ACTION,
    execution=2,
    attempt=3,
    service="bank",
    command="Pay",
    command_version=1,
    message_id="1" * 32,
    key="2" * 32,
    body=b"{}",
    expires_at=datetime(2026, 5, 1, tzinfo=UTC),
    traceparent=TRACE,
    tracestate="a=b",
)
UNDO = msgspec.structs.replace(
    ACTION, kind=Kind.COMPENSATION, undoes="3" * 32, undoes_outcome="unknown", expires_at=None
)
REPLY = msgspec.structs.replace(
    answer(ACTION, Outcome.RETRY, "busy", "later", effect=ReplyEffect.NONE),
    retry_after=timedelta(seconds=1),
    handler_time=timedelta(seconds=2),
    cost={"USD": Decimal("0.5")},
)
START = StartMessage(
    name="order", version=1, start_key="k:A-1", input=b"{}", message_id="m", actor="ann", traceparent=TRACE
)
CANCEL = CancelMessage(saga=None, name="order", business_key="A-1", message_id="m", reason="", actor="ann")
SIGNAL = SignalMessage(
    saga=None, name="order", business_key="A-1", signal="paid", body=b"{}", message_id="m", actor="ann"
)
RESULT = ResultMessage(kind=ResultKind.ACCEPTED, reply_to="shop.web", in_reply_to="m", saga=SAGA)
EVENT = LifecycleEvent(
    moment=Moment.ENDED,
    saga=SAGA,
    name="order",
    definition_version=1,
    key="A-1",
    root=SAGA,
    parent=None,
    version=4,
    position=0,
    at=datetime(2026, 5, 1, tzinfo=UTC),
    status="completed",
)
POISON = Delivery("saga.commands.bank", "saga.commands", "bank.Pay.v1", b"", "m", "", "", "", {}, "engine", False, 1)

WRITTEN = {
    Message.START: start_to_wire(START),
    Message.ACTION: command_to_wire(ACTION),
    Message.COMPENSATION: command_to_wire(UNDO),
    Message.REPLY: reply_to_wire(REPLY),
    Message.SIGNAL: signal_to_wire(SIGNAL),
    Message.CONTROL: cancel_to_wire(CANCEL),
    Message.RESULT: result_to_wire(RESULT),
    Message.LIFECYCLE: lifecycle_to_wire(EVENT),
    Message.PARKED: park_to_wire(POISON, "not-json", "no"),
}
NEVER_WRITTEN = {
    Message.REPLY: {names.TRACESTATE},
    Message.SIGNAL: {names.NAME},
    Message.CONTROL: {names.TRACEPARENT},
}
"""What others may send and the codec reads, but does not write."""


@pytest.mark.parametrize("message", Message)
def test_the_codec_writes_what_the_table_says(message: Message) -> None:
    """Everything filled in, a message has exactly the headers of its column."""
    wanted = {header.name for header in headers_of(message)} - NEVER_WRITTEN.get(message, set())
    assert set(WRITTEN[message].headers) == wanted


@pytest.mark.parametrize("message", Message)
def test_written_values_have_the_form_the_table_gives(message: Message) -> None:
    """Patterns, words and lengths describe what is really sent."""
    written: Outgoing = WRITTEN[message]
    for header in headers_of(message):
        value = written.headers.get(header.name)
        if value is None:
            continue
        assert re.fullmatch(header.pattern or ".*", value), (header.name, value)
        assert not header.words or value in header.words, (header.name, value)
        assert len(value) <= (header.characters_max or len(value)), (header.name, value)


def test_what_is_required_cannot_be_left_out() -> None:
    """A command with nothing optional in it has exactly the required headers."""
    bare = msgspec.structs.replace(ACTION, expires_at=None, traceparent=None, tracestate=None)
    required = {header.name for header in headers_of(Message.ACTION) if header.on[Message.ACTION] is Need.REQUIRED}
    assert set(command_to_wire(bare).headers) - {names.KEY} == required


def test_every_name_is_in_the_table_once() -> None:
    """A header nobody described is a promise nobody can keep."""
    spelled = {value for name, value in vars(names).items() if name.isupper() and _is_header(value)}
    assert sorted(header.name for header in HEADERS) == sorted(spelled)


def test_every_refusal_is_explained() -> None:
    """The closed list of codes."""
    assert set(REFUSALS) == set(RefusedCode)


def _is_header(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("saga-", "trace"))
