"""Laws of the wire codec: what goes out comes back the same, and nothing that comes in breaks the reader."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from saga import wire
from saga.core.errors import ProtocolViolation
from saga.core.limits import unsendable
from saga.core.messages import (
    CancelMessage,
    Choice,
    CommandMessage,
    DecideMessage,
    Kind,
    Outcome,
    RefusedCode,
    ReplyEffect,
    ReplyMessage,
    ResultKind,
    ResultMessage,
    SignalMessage,
    StartMessage,
)
from saga.ports import Delivery, Outgoing
from saga.wire import names
from tests.property.test_cost_laws import COSTS

WORDS = st.text(st.sampled_from("abcXYZ019_-"), min_size=1, max_size=64)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=64)
HEX32 = st.text(st.sampled_from("0123456789abcdef"), min_size=32, max_size=32)
SAGAS = st.uuids().map(str)
COUNTS = st.integers(1, 10**9 - 1)
DURATIONS = st.integers(0, 10**9 - 1).map(lambda n: timedelta(milliseconds=n))
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
).map(msgspec.json.encode)
TRACES = st.none() | st.builds(lambda a: f"00-{'1' + a[1:]}-{'2' + a[1:16]}-01", HEX32)
NUMBER = st.none() | DURATIONS


@st.composite
def commands(draw: st.DrawFn) -> CommandMessage:
    """Any command the engine may send."""
    kind = draw(st.sampled_from(Kind))
    traceparent = draw(TRACES)
    undone = kind is Kind.COMPENSATION
    return CommandMessage(
        saga=draw(SAGAS),
        saga_name=draw(TEXTS),
        saga_version=draw(COUNTS),
        business_key=draw(TEXTS),
        path=draw(TEXTS),
        kind=kind,
        execution=draw(COUNTS),
        attempt=draw(COUNTS),
        service=draw(WORDS),
        command=draw(WORDS),
        command_version=draw(st.integers(1, 9_999)),
        message_id=draw(HEX32),
        key=draw(HEX32),
        body=draw(JSON),
        undoes=draw(HEX32) if undone else None,
        undoes_outcome=draw(st.sampled_from(("ok", "unknown"))) if undone else None,
        expires_at=draw(st.none() | INSTANTS),
        traceparent=traceparent,
        tracestate=None if traceparent is None else draw(st.none() | WORDS),
    )


@st.composite
def replies(draw: st.DrawFn) -> ReplyMessage:
    """Any reply a participant may send."""
    outcome = draw(st.sampled_from(Outcome))
    service = draw(WORDS)
    settles = outcome in {Outcome.OK, Outcome.FAILED}
    code, message = "", ""
    if outcome is not Outcome.OK:
        code = draw(st.sampled_from(RefusedCode)).value if outcome is Outcome.REFUSED else draw(TEXTS)
        message = draw(TEXTS | st.just(""))
    return ReplyMessage(
        saga=draw(SAGAS),
        path=draw(TEXTS),
        kind=draw(st.sampled_from(Kind)),
        execution=draw(COUNTS),
        attempt=draw(COUNTS),
        key=draw(HEX32),
        in_reply_to=draw(HEX32),
        service=service,
        outcome=outcome,
        effect=draw(st.sampled_from(ReplyEffect)),
        type=f"{service}.{draw(WORDS)}.v1" if settles else "",
        body=draw(JSON) if settles else b"",
        code=code,
        message=message,
        retry_after=draw(NUMBER),
        handler_time=draw(NUMBER),
        cost=draw(st.none() | COSTS),
        sender=draw(st.none() | WORDS),
        traceparent=draw(TRACES),
    )


@st.composite
def starts(draw: st.DrawFn) -> StartMessage:
    """Any start a caller may send."""
    by_key = draw(st.booleans())
    message_id = draw(TEXTS)
    sender = draw(st.none() | WORDS)
    return StartMessage(
        name=draw(TEXTS),
        version=draw(st.none() | COUNTS),
        start_key="k:" + draw(TEXTS) if by_key else "m:" + message_id,
        input=draw(JSON),
        message_id=message_id,
        reply_to=draw(st.sampled_from(("", f"{sender or 'shop'}.front-1"))),
        sender=sender,
        actor=draw(st.none() | TEXTS),
        traceparent=draw(TRACES),
    )


@st.composite
def cancels(draw: st.DrawFn) -> CancelMessage:
    """Any cancel a caller may send."""
    by_saga = draw(st.booleans())
    sender = draw(WORDS)
    return CancelMessage(
        saga=draw(SAGAS) if by_saga else None,
        name=None if by_saga else draw(TEXTS),
        business_key=None if by_saga else draw(TEXTS),
        message_id=draw(TEXTS),
        reason=draw(TEXTS),
        reply_to=draw(st.sampled_from(("", f"{sender}.front-1"))),
        sender=sender,
        actor=draw(st.none() | TEXTS),
    )


@st.composite
def signals(draw: st.DrawFn) -> SignalMessage:
    """Any signal a caller may send."""
    by_saga = draw(st.booleans())
    sender = draw(st.none() | WORDS)
    return SignalMessage(
        saga=draw(SAGAS) if by_saga else None,
        name=draw(TEXTS),
        business_key=None if by_saga else draw(TEXTS),
        message_id=draw(TEXTS),
        signal=draw(TEXTS),
        body=draw(JSON),
        reply_to=draw(st.sampled_from(("", f"{sender or 'shop'}.front-1"))),
        sender=sender,
        actor=draw(st.none() | TEXTS),
    )


@st.composite
def decisions(draw: st.DrawFn) -> DecideMessage:
    """Any decision a gateway may bring."""
    by_saga = draw(st.booleans())
    return DecideMessage(
        saga=draw(SAGAS) if by_saga else None,
        name=None if by_saga else draw(TEXTS),
        business_key=None if by_saga else draw(TEXTS),
        message_id=draw(TEXTS),
        path=draw(TEXTS),
        choice=draw(st.sampled_from(Choice)),
        digest=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        number=draw(st.none() | st.integers(1, 1_000)),
        reason=draw(st.just("") | TEXTS),
        edited=draw(st.none() | JSON.filter(lambda body: body.strip() != b"null")),
        sender=draw(WORDS),
        actor=draw(TEXTS),
    )


RESULTS = st.builds(
    ResultMessage,
    kind=st.sampled_from(ResultKind),
    reply_to=WORDS,
    in_reply_to=TEXTS,
    saga=SAGAS,
    existing=st.booleans(),
    code=TEXTS,
    reason=TEXTS,
    status=TEXTS,
    output=JSON | st.just(b""),
)


def delivered(message: Outgoing, sender: str | None = None) -> Delivery:
    """What a broker makes of an outgoing message."""
    return Delivery(
        "q",
        message.exchange,
        message.routing_key,
        message.body,
        message.message_id,
        message.type,
        message.correlation_id,
        message.reply_to,
        message.headers,
        sender,
        redelivered=False,
        token=1,
    )


@given(commands())
def test_a_command_comes_back_the_same(command: CommandMessage) -> None:
    """Every field survives the wire."""
    assert wire.command_from_wire(delivered(wire.command_to_wire(command))) == command


@given(replies())
def test_a_reply_comes_back_the_same(reply: ReplyMessage) -> None:
    """Every field survives the wire; the sender is the broker's word."""
    assert wire.reply_from_wire(delivered(wire.reply_to_wire(reply), reply.sender)) == reply


@given(starts())
def test_a_start_comes_back_the_same(start: StartMessage) -> None:
    """Every field survives the wire."""
    assert wire.start_from_wire(delivered(wire.start_to_wire(start), start.sender)) == start


@given(cancels())
def test_a_cancel_comes_back_the_same(cancel: CancelMessage) -> None:
    """Every field survives the wire."""
    assert wire.control_from_wire(delivered(wire.cancel_to_wire(cancel), cancel.sender)) == cancel


@given(signals())
def test_a_signal_comes_back_the_same(signal: SignalMessage) -> None:
    """Every field survives the wire, the body byte for byte."""
    assert wire.signal_from_wire(delivered(wire.signal_to_wire(signal), signal.sender)) == signal


@given(decisions())
def test_a_decision_comes_back_the_same(decision: DecideMessage) -> None:
    """Every field survives the wire, what was edited byte for byte."""
    assert wire.control_from_wire(delivered(wire.decide_to_wire(decision), decision.sender)) == decision


@given(RESULTS)
def test_a_result_comes_back_the_same(result: ResultMessage) -> None:
    """Every field survives the wire, the output byte for byte."""
    assert wire.result_from_wire(delivered(wire.result_to_wire(result))) == result


READERS: list[Callable[[Delivery], object]] = [
    wire.command_from_wire,
    wire.command_envelope,
    wire.reply_from_wire,
    wire.start_from_wire,
    wire.control_from_wire,
    wire.signal_from_wire,
    wire.result_from_wire,
]
ANY_TEXT = st.text(max_size=80) | st.sampled_from(
    ("cancel", "decide", "order", "payments.ok", "payments.ChargeCard.v1", "1", "")
)
HEADER_NAMES = st.sampled_from(
    [value for value in vars(names).values() if isinstance(value, str) and value.startswith("saga-")]
)
HOSTILE = st.builds(
    Delivery,
    queue=ANY_TEXT,
    exchange=ANY_TEXT,
    routing_key=ANY_TEXT,
    body=st.binary(max_size=200) | JSON,
    message_id=ANY_TEXT,
    type=ANY_TEXT,
    correlation_id=ANY_TEXT | SAGAS,
    reply_to=ANY_TEXT,
    headers=st.dictionaries(HEADER_NAMES | ANY_TEXT, ANY_TEXT, max_size=12),
    sender=st.none() | ANY_TEXT,
    redelivered=st.booleans(),
    token=st.integers(0, 2**63),
    defects=st.lists(ANY_TEXT, max_size=1).map(tuple),
)


@settings(max_examples=300)
@given(HOSTILE)
def test_a_hostile_delivery_raises_nothing_but_a_violation(delivery: Delivery) -> None:
    """Whatever arrives is read or refused; no other exception escapes, and it can always be parked."""
    for read in READERS:
        with contextlib.suppress(ProtocolViolation):
            read(delivery)
    assert_storable(wire.parked_from_delivery(delivery, wire.Poison.NUL, "x"))
    assert_storable(wire.parked_from_wire(delivery))
    assert unsendable(wire.park_to_wire(delivery, wire.Poison.NUL, "x")) is None


@settings(max_examples=300)
@given(st.one_of(commands().map(wire.command_to_wire), replies().map(wire.reply_to_wire)), st.data())
def test_one_wrong_field_raises_nothing_but_a_violation(message: Outgoing, data: st.DataObject) -> None:
    """A good message with one field replaced by anything is read or refused."""
    good = delivered(message)
    field = data.draw(
        st.sampled_from((*message.headers, "type", "message_id", "correlation_id", "routing_key", "body"))
    )
    if field == "body":
        bad = msgspec.structs.replace(good, body=data.draw(st.binary(max_size=50)))
    elif field in message.headers:
        bad = msgspec.structs.replace(good, headers=message.headers | {field: data.draw(ANY_TEXT)})
    else:
        bad = msgspec.structs.replace(good, **{field: data.draw(ANY_TEXT)})
    for read in READERS:
        with contextlib.suppress(ProtocolViolation):
            read(bad)


@given(st.binary(max_size=64) | st.text('[]{}"\\u0 ,:1', max_size=64).map(str.encode))
def test_what_passes_the_body_check_decodes(body: bytes) -> None:
    """After the check, decoding cannot surprise: the depth is bounded and every text is storable."""
    try:
        wire.check_json(body)
    except ProtocolViolation:
        return
    value = msgspec.json.decode(body)
    assert depth(value) <= wire.JSON_DEPTH_MAX
    assert "\0" not in repr(value)
    repr(value).encode()


def depth(value: object) -> int:
    """How deep lists and objects nest."""
    match value:
        case list():
            return 1 + max(map(depth, value), default=0)
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case _:
            return 0


def assert_storable(row: msgspec.Struct) -> None:
    """No NUL and no lone surrogate in any text of a row."""
    for value in msgspec.structs.astuple(row):
        for text in [*value, *value.values()] if isinstance(value, dict) else [value]:
            if isinstance(text, str):
                assert "\0" not in text
                text.encode()
