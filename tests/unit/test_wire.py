"""The wire codec refuses what the contract refuses, and names what is wrong."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from saga import wire
from saga.core.errors import ProtocolViolation
from saga.core.limits import unsendable
from saga.core.messages import (
    CancelMessage,
    CommandMessage,
    Kind,
    Outcome,
    ReplyEffect,
    ReplyMessage,
    ResultKind,
    ResultMessage,
)
from saga.ports import Delivery, Outgoing
from saga.wire import Poison

SAGA = "0197f3a0-0000-7000-8000-000000000001"
KEY = "0123456789abcdef0123456789abcdef"
ACTION_KEY = "f" * 32


def delivered(message: Outgoing, *, queue: str = "q", sender: str | None = "payments") -> Delivery:
    """What a broker makes of an outgoing message."""
    return Delivery(
        queue=queue,
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        message_id=message.message_id,
        type=message.type,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        headers=message.headers,
        sender=sender,
        redelivered=False,
        token=1,
    )


def a_command(**changes: object) -> CommandMessage:
    """A charge on its way to payments."""
    command = CommandMessage(
        saga=SAGA,
        saga_name="order",
        saga_version=3,
        business_key="A-17",
        path="pay/charge",
        kind=Kind.ACTION,
        execution=1,
        attempt=2,
        service="payments",
        command="ChargeCard",
        command_version=1,
        message_id="a" * 32,
        key=KEY,
        body=b'{"amount": "10.00"}',
        expires_at=datetime(2026, 5, 1, tzinfo=UTC),
    )
    return msgspec.structs.replace(command, **changes)


def a_reply(**changes: object) -> ReplyMessage:
    """The answer to that charge."""
    reply = wire.answer(a_command(), Outcome.OK, effect=ReplyEffect.APPLIED)
    return msgspec.structs.replace(reply, **({"type": "payments.CardCharged.v1", "body": b"{}"} | changes))


def code_of(delivery: Delivery) -> str:
    """Why a reply is refused."""
    with pytest.raises(ProtocolViolation) as caught:
        wire.reply_from_wire(delivery)
    assert caught.value.detail
    return caught.value.code


def with_header(delivery: Delivery, name: str, value: str | None) -> Delivery:
    """The delivery with one header set, or removed."""
    headers = {k: v for k, v in delivery.headers.items() if k != name} | ({} if value is None else {name: value})
    return msgspec.structs.replace(delivery, headers=headers)


def nested(depth: int) -> bytes:
    """JSON lists in lists."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", Poison.NOT_JSON),
        (b"{", Poison.NOT_JSON),
        (b"{}{}", Poison.NOT_JSON),
        (b'"\\ud800"', Poison.NOT_JSON),
        (b"1e999", Poison.NOT_JSON),
        (b'"\xff"', Poison.BAD_UTF8),
        (b'"\xc3"', Poison.BAD_UTF8),
        (b'"\x00"', Poison.NUL),
        (b'"\\u0000"', Poison.NUL),
        (b'"\\\\\\u0000"', Poison.NUL),
        (nested(33), Poison.TOO_DEEP),
        (b"[" * 100_000, Poison.TOO_DEEP),
        (b'{"a":' * 40 + b"1" + b"}" * 40, Poison.TOO_DEEP),
        (b"1" * (256 * 1024 + 1), Poison.TOO_LARGE),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused(body: bytes, code: Poison) -> None:
    """Each kind of bad body has its own code."""
    with pytest.raises(ProtocolViolation) as caught:
        wire.check_json(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b'"\\\\u0000"',
        b'"' + b"[" * 1000 + b'"',
        b'"\\"' + b"[" * 1000 + b'\\\\"',
        nested(32),
        b"[" + b"[]," * 500 + b"{}]",
        '"ü"'.encode(),
        b'"' + b"x" * (256 * 1024 - 2) + b'"',
        b"null",
    ],
)
def test_a_body_that_only_looks_bad_passes(body: bytes) -> None:
    """Brackets in strings, an escaped backslash before u0000, breadth and the exact limits are fine."""
    wire.check_json(body)


def test_the_scan_of_a_hostile_body_is_linear() -> None:
    """The worst bodies of the largest size are judged at once; were it quadratic, this would not end in time."""
    size = 256 * 1024
    bodies = [b'"\\' * (size // 2), b'\\"' * (size // 2), b"[]" * (size // 2), b"[" * size, b'"[' * (size // 2)]
    for body in bodies:
        with pytest.raises(ProtocolViolation):
            wire.check_json(body)


def test_error_text_is_cut_between_characters() -> None:
    """A cut text is valid UTF-8 of at most the limit, without NUL and lone surrogates."""
    cut = wire.cut_text("é" * 5000)
    assert len(cut.encode()) <= wire.ERROR_TEXT_BYTES_MAX
    assert set(cut) == {"é"}
    assert wire.cut_text("a\0b\ud800") == "a\ufffdb?"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("saga-step", None, Poison.MISSING_HEADER),
        ("saga-step", "x" * 201, Poison.BAD_HEADER),
        ("saga-attempt", "0", Poison.BAD_HEADER),
        ("saga-attempt", "٣", Poison.BAD_HEADER),
        ("saga-attempt", "1" * 5000, Poison.BAD_HEADER),
        ("saga-kind", "maybe", Poison.BAD_HEADER),
        ("saga-idempotency-key", "charge-1", Poison.BAD_HEADER),
        ("saga-effect", None, Poison.MISSING_HEADER),
        ("saga-code", "why", Poison.BAD_HEADER),
        ("saga-outcome", "failed", Poison.HEADER_DISAGREES),
        ("saga-handler-ms", "-1", Poison.BAD_HEADER),
        ("saga-message", "x" * 17_000, Poison.HEADER_TOO_LARGE),
        ("saga-message", "\0", Poison.NUL),
        ("saga-message", "\ud800", Poison.BAD_UTF8),
    ],
)
def test_a_bad_reply_header_is_named(name: str, value: str | None, code: Poison) -> None:
    """A header that is missing, malformed, oversized or contradicts the routing key refuses the reply."""
    assert code_of(with_header(delivered(wire.reply_to_wire(a_reply())), name, value)) == code


def test_a_reply_is_bound_to_the_service_of_its_routing_key() -> None:
    """The type must belong to the service whose key the broker let the sender use."""
    good = delivered(wire.reply_to_wire(a_reply()))
    assert code_of(msgspec.structs.replace(good, routing_key="billing.ok")) == Poison.HEADER_DISAGREES
    assert code_of(msgspec.structs.replace(good, routing_key="payments.maybe")) == Poison.BAD_HEADER
    assert code_of(msgspec.structs.replace(good, correlation_id="order-17")) == Poison.BAD_HEADER
    assert code_of(msgspec.structs.replace(good, defects=("saga-step is no string",))) == Poison.BAD_HEADER


def test_the_refused_codes_are_a_closed_list() -> None:
    """A refusal with a code of one's own is no refusal the engine could act upon."""
    refused = a_reply(outcome=Outcome.REFUSED, code="in-doubt", effect=ReplyEffect.NONE, body=b"", type="")
    assert wire.reply_from_wire(delivered(wire.reply_to_wire(refused))).code == "in-doubt"
    assert code_of(delivered(wire.reply_to_wire(msgspec.structs.replace(refused, code="mood")))) == Poison.BAD_HEADER


def test_a_malformed_trace_header_is_dropped() -> None:
    """Tracing never parks a message."""
    good = delivered(wire.reply_to_wire(a_reply()))
    assert wire.reply_from_wire(with_header(good, "traceparent", "nonsense")).traceparent is None
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    assert wire.reply_from_wire(with_header(good, "traceparent", parent)).traceparent == parent


def test_a_command_must_agree_with_its_routing_key() -> None:
    """The type header cannot smuggle in another command than the rights of the sender allow."""
    good = delivered(wire.command_to_wire(a_command()))
    with pytest.raises(ProtocolViolation) as caught:
        wire.command_from_wire(msgspec.structs.replace(good, type="payments.Refund.v1"))
    assert caught.value.code == Poison.HEADER_DISAGREES


@pytest.mark.parametrize("path", ["seats[2]/add", "draft#3/write", "seats[999]/seat#12/add", "x" * 200])
def test_a_path_may_stand_in_an_item_or_a_turn(path: str) -> None:
    """As it stands in the history, in commands, replies and decisions."""
    command = a_command(path=path)
    assert wire.command_from_wire(delivered(wire.command_to_wire(command))).path == path
    assert wire.reply_from_wire(delivered(wire.reply_to_wire(a_reply(path=path)))).path == path
    too_long = wire.command_to_wire(a_command(path=path + "x" * 200))
    with pytest.raises(ProtocolViolation) as caught:
        wire.command_from_wire(delivered(too_long))
    assert caught.value.code == Poison.BAD_HEADER


def test_a_compensation_names_what_it_undoes() -> None:
    """Without the undone key and what is known of it, a compensation is refused."""
    undo = a_command(kind=Kind.COMPENSATION, undoes=ACTION_KEY, undoes_outcome="unknown", expires_at=None)
    good = delivered(wire.command_to_wire(undo))
    assert wire.command_from_wire(good) == undo
    for name in ("saga-undoes", "saga-undoes-outcome"):
        with pytest.raises(ProtocolViolation) as caught:
            wire.command_from_wire(with_header(good, name, None))
        assert caught.value.code == Poison.MISSING_HEADER


def test_the_envelope_of_a_command_with_a_bad_body_can_still_be_answered() -> None:
    """Headers that allow an answer are read even where the body is poison."""
    bad = delivered(wire.command_to_wire(a_command(body=b"{")))
    assert wire.command_envelope(bad).message_id == "a" * 32
    with pytest.raises(ProtocolViolation):
        wire.command_from_wire(bad)


def test_an_expiry_needs_its_offset() -> None:
    """A local time is refused; any offset is read as the same instant."""
    good = delivered(wire.command_to_wire(a_command()))
    shifted = wire.command_from_wire(with_header(good, "saga-expires-at", "2026-05-01T02:00:00+02:00"))
    assert shifted.expires_at == datetime(2026, 5, 1, tzinfo=UTC)
    with pytest.raises(ProtocolViolation):
        wire.command_from_wire(with_header(good, "saga-expires-at", "2026-05-01T02:00:00"))


def test_every_saga_header_is_a_string() -> None:
    """Numbers travel as decimal text: clients encode numbers differently."""
    for message in (wire.command_to_wire(a_command()), wire.reply_to_wire(a_reply())):
        assert all(isinstance(value, str) for value in message.headers.values())


def test_a_start_needs_a_key_or_a_message_id() -> None:
    """The business key wins; the message id stands in; neither is refused."""
    plain = Delivery("saga.start", "saga.start", "order", b"{}", "m1", "order", "", "", {}, None, False, 1)
    assert wire.start_from_wire(plain).start_key == "m:m1"
    assert wire.start_from_wire(with_header(plain, "saga-key", "A-17")).start_key == "k:A-17"
    with pytest.raises(ProtocolViolation) as caught:
        wire.start_from_wire(msgspec.structs.replace(plain, message_id=""))
    assert caught.value.code == Poison.MISSING_HEADER
    with pytest.raises(ProtocolViolation) as caught:
        wire.start_from_wire(msgspec.structs.replace(plain, type="wire-transfer"))
    assert caught.value.code == Poison.HEADER_DISAGREES


def test_results_go_only_to_the_sender() -> None:
    """A caller whose name the broker vouches for cannot direct answers to another's queue."""
    plain = Delivery("saga.start", "saga.start", "order", b"{}", "m1", "order", "", "shop.x", {}, "shop", False, 1)
    assert wire.start_from_wire(plain).reply_to == "shop.x"
    for address in ("bank.x", "#", "shop.", "shop.*"):
        with pytest.raises(ProtocolViolation) as caught:
            wire.start_from_wire(msgspec.structs.replace(plain, reply_to=address))
        assert caught.value.code == Poison.BAD_HEADER


def test_a_cancel_needs_a_sender() -> None:
    """The broker must vouch for whoever cancels."""
    reason = "customer called"
    cancel = CancelMessage(saga=SAGA, name=None, business_key=None, message_id="c1", reason=reason)
    asked = wire.cancel_to_wire(cancel)
    assert wire.control_from_wire(delivered(asked, sender="shop")).reason == reason
    with pytest.raises(ProtocolViolation) as caught:
        wire.control_from_wire(delivered(asked, sender=None))
    assert caught.value.code == Poison.FORGED_SENDER


def test_a_parked_message_keeps_its_sender_and_can_be_stored() -> None:
    """Parking by a participant and draining by an orchestrator loses nothing; texts become storable."""
    bad = with_header(delivered(wire.reply_to_wire(a_reply()), queue="saga.commands.payments"), "saga-step", "a\0b")
    direct = wire.parked_from_delivery(bad, Poison.NUL, "why")
    parked = delivered(wire.park_to_wire(bad, Poison.NUL, "why"), queue="saga.parking", sender="orchestrator")
    assert wire.parked_from_wire(parked) == direct
    assert direct.sender == "payments"
    assert direct.headers["saga-step"] == "a\ufffdb"


def test_parking_fits_a_frame_whatever_arrives() -> None:
    """A header frame of more than 131,064 bytes would kill the connection, and its redelivery again."""
    huge = with_header(delivered(wire.reply_to_wire(a_reply())), "saga-message", "x" * 140_000)
    huge = msgspec.structs.replace(huge, message_id="", body=b"y" * 2**20)
    parked = wire.park_to_wire(huge, Poison.HEADER_TOO_LARGE, "y" * 100_000)
    assert unsendable(parked) is None
    assert parked.headers["saga-step"] == "pay/charge"


def test_a_dead_letter_says_where_it_died() -> None:
    """What the broker dead-lettered is parked under the queue it came from, ready to be sent there again."""
    first = {"x-first-death-queue": "saga.replies", "x-first-death-exchange": "saga.replies"}
    reply = delivered(wire.reply_to_wire(a_reply()), queue="saga.dead")
    row = wire.parked_from_wire(
        msgspec.structs.replace(reply, exchange="saga.dead", headers={**reply.headers, **first})
    )
    assert (row.origin, row.exchange, row.routing_key) == ("saga.replies", "saga.replies", "payments.ok")
    assert row.reason == Poison.DEAD_LETTERED
    assert row.sender == "payments"


@pytest.mark.parametrize(
    ("reason", "said"), [("expired", "asks again"), ("delivery_limit", "too often"), ("rejected", "rejected")]
)
def test_a_dead_letter_says_why_it_died(reason: str, said: str) -> None:
    """A command that waited for days is no loss: its saga knows."""
    first = {"x-first-death-queue": "saga.commands.payments", "x-first-death-reason": reason}
    command = delivered(wire.command_to_wire(a_command()), queue="saga.dead")
    row = wire.parked_from_wire(msgspec.structs.replace(command, headers={**command.headers, **first}))
    assert said in row.detail


def test_only_a_vouched_sender_speaks_for_a_service() -> None:
    """Nobody, or another user, is refused."""
    wire.check_sender("payments", frozenset({"payments"}))
    for sender in (None, "billing"):
        with pytest.raises(ProtocolViolation) as caught:
            wire.check_sender(sender, frozenset({"payments"}))
        assert caught.value.code == Poison.FORGED_SENDER


def test_the_result_body_is_plain_json() -> None:
    """A caller in any language reads the output as JSON inside the result."""
    ended = ResultMessage(kind=ResultKind.ENDED, reply_to="shop.x", in_reply_to="m1", saga=SAGA, output=b'{"n": 1.10}')
    message = wire.result_to_wire(ended)
    assert json.loads(message.body)["output"] == {"n": 1.1}
    assert wire.result_from_wire(delivered(message)).output == b'{"n": 1.10}'
    assert not message.mandatory
