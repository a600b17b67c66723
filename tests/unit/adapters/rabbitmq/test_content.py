"""Headers as a sender may write them: which of them are a defect of the message, and which are let through."""

import pytest

from saga.adapters.rabbitmq.content import Properties, decode_properties
from saga.core.limits import NO_TEXT
from tests.raw_amqp import HEADERS, table, text

NUMBER = b"\x09saga-costI\0\0\0\x05"
TRUE = b"\x09saga-costt\x01"


def read(*headers: bytes) -> Properties:
    """A content header with this table and nothing else."""
    return decode_properties(b"\0\x3c\0\0" + bytes(8) + HEADERS.to_bytes(2, "big") + table(*headers))


@pytest.mark.parametrize(
    ("headers", "delivered"),
    [
        ([text(b"saga-cost", b"1 USD")], "1 USD"),
        ([NUMBER], NO_TEXT),
        ([TRUE], NO_TEXT),
        ([text(b"saga-cost", b"1 USD"), text(b"saga-cost", b"2 USD")], NO_TEXT),
        ([text(b"saga-cost", b"1 USD"), NUMBER], NO_TEXT),
        ([text(b"saga-cost", b"1 \xff")], f"1 {NO_TEXT}"),
        ([text(b"saga-cost", b"1 U\0SD")], f"1 U{NO_TEXT}SD"),
    ],
)
def test_a_cost_is_no_defect(headers: list[bytes], delivered: str) -> None:
    """Whatever it is, the message is delivered with it, as text that its reader may find unreadable."""
    found = read(text(b"saga-step", b"pay"), *headers)
    assert (found.headers, found.defects) == ({"saga-step": "pay", "saga-cost": delivered}, ())


def test_every_other_header_of_ours_is_text_and_there_once() -> None:
    """What the engine acts on must not be guessed."""
    number, twice = b"\x09saga-stepI\0\0\0\x05", text(b"saga-kind", b"action")
    found = read(number, twice, twice, text(b"saga-code", b"\xff"))
    assert found.headers == {"saga-kind": "action"}
    assert len(found.defects) == 3
