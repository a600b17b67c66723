"""The limits of texts on the wire, at their edges: at one it is read, one character more is refused with a code."""

import msgspec
import pytest

from saga import wire
from saga.core.errors import ProtocolViolation
from saga.core.limits import HEADERS_BYTES_MAX, headers_size, unsendable
from saga.core.messages import CancelMessage, Outcome, ReplyEffect, StartMessage
from saga.ports import Delivery
from saga.wire import ERROR_TEXT_BYTES_MAX, Poison
from saga.wire.screen import KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, PATH_CHARACTERS_MAX
from tests.unit.test_wire import SAGA, a_command, a_reply, delivered, with_header


def started(**changes: object) -> Delivery:
    """A start as an orchestrator gets it."""
    start = StartMessage(
        name="order", version=None, start_key="k:A-17", input=b"{}", message_id="start-1", reply_to="shop.web"
    )
    return delivered(wire.start_to_wire(msgspec.structs.replace(start, **changes)), sender="shop")


def refused(delivery: Delivery) -> str:
    with pytest.raises(ProtocolViolation) as caught:
        wire.start_from_wire(delivery)
    return caught.value.code


def test_keys() -> None:
    """A business key and a caller's message id; counted in characters, not in bytes."""
    for letter in ("k", "ü"):
        key = letter * KEY_CHARACTERS_MAX
        assert wire.start_from_wire(started(start_key=f"k:{key}")).start_key == f"k:{key}"
        assert refused(started(start_key=f"k:{key}{letter}")) == Poison.BAD_HEADER
    longest = "m" * KEY_CHARACTERS_MAX
    assert wire.start_from_wire(started(message_id=longest)).message_id == longest
    assert refused(started(message_id=longest + "m")) == Poison.BAD_HEADER


def test_the_key_of_a_cancel() -> None:
    """As long as that of the start it means."""

    def cancel(key: str) -> Delivery:
        return delivered(
            wire.cancel_to_wire(
                CancelMessage(
                    saga=None, name="order", business_key=key, message_id="c-1", reason="", reply_to="shop.web"
                )
            ),
            sender="shop",
        )

    assert wire.control_from_wire(cancel("k" * KEY_CHARACTERS_MAX)).business_key == "k" * KEY_CHARACTERS_MAX
    with pytest.raises(ProtocolViolation) as caught:
        wire.control_from_wire(cancel("k" * (KEY_CHARACTERS_MAX + 1)))
    assert caught.value.code == Poison.BAD_HEADER


def test_names() -> None:
    """Of a saga in a start, and of a failure in a reply."""
    longest = "n" * NAME_CHARACTERS_MAX
    assert wire.start_from_wire(started(name=longest)).name == longest
    assert refused(started(name=longest + "n")) == Poison.BAD_HEADER
    failed = a_reply(outcome=Outcome.FAILED, effect=ReplyEffect.NONE, code=longest, type=f"payments.{longest}.v1")
    good = delivered(wire.reply_to_wire(failed))
    assert wire.reply_from_wire(good).code == longest
    with pytest.raises(ProtocolViolation):
        wire.reply_from_wire(with_header(good, "saga-code", longest + "n"))


def test_paths() -> None:
    """Of a step, in a command and in its reply."""
    longest = "p" * PATH_CHARACTERS_MAX
    good = delivered(wire.command_to_wire(a_command(path=longest)))
    assert wire.command_from_wire(good).path == longest
    with pytest.raises(ProtocolViolation) as caught:
        wire.command_from_wire(with_header(good, "saga-step", longest + "p"))
    assert caught.value.code == Poison.BAD_HEADER


def test_error_texts() -> None:
    """Not refused: cut, at a character, on both sides of the wire. What went wrong is never lost over its words."""
    whole = "e" * ERROR_TEXT_BYTES_MAX
    for text in (whole, whole + "e"):
        failed = a_reply(outcome=Outcome.FAILED, effect=ReplyEffect.NONE, code="Declined", message=text)
        failed = msgspec.structs.replace(failed, type="payments.Declined.v1")
        assert wire.reply_from_wire(delivered(wire.reply_to_wire(failed))).message == whole
        foreign = with_header(delivered(wire.reply_to_wire(failed)), "saga-message", text)
        assert wire.reply_from_wire(foreign).message == whole


def test_headers_together() -> None:
    """Names and values, of which those nobody asked for count as well."""
    good = started()
    room = HEADERS_BYTES_MAX - headers_size(good.headers.items()) - len("saga-more")
    assert wire.start_from_wire(with_header(good, "saga-more", "x" * room)).start_key == "k:A-17"
    assert refused(with_header(good, "saga-more", "x" * (room + 1))) == Poison.HEADER_TOO_LARGE


def test_the_longest_names_make_a_message_that_can_be_sent() -> None:
    """Every limit at once stays below those of AMQP."""
    name = "n" * NAME_CHARACTERS_MAX
    command = a_command(
        saga=SAGA,
        saga_name=name,
        service=name,
        command=name,
        command_version=9_999,
        path="ü" * PATH_CHARACTERS_MAX,
        business_key="ü" * KEY_CHARACTERS_MAX,
    )
    assert unsendable(wire.command_to_wire(command)) is None
    assert wire.command_from_wire(delivered(wire.command_to_wire(command))) == command
