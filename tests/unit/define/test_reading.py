"""Contracts that a definition cannot read are refused where it reads them, and for the reason that is true."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest

from saga import Command, DefinitionError, Effect, Saga, all_of, coalesce, command, define, present, size
from saga.core.blocks import When
from saga.core.evaluation import holds
from saga.define import Definition, PlaceholderMisuse
from tests.typing import orders as c


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A list on the wire."""

    sku: str


@dataclass(frozen=True)
class Street:
    """No Struct."""

    name: str


class Inner(msgspec.Struct, frozen=True):
    """With a default of its own."""

    color: str = "red"


class Order(msgspec.Struct, frozen=True):
    """All of them."""

    order_id: str
    row: Row
    street: Street
    maybe_row: Row | None = None
    rows: list[Row] = []
    unset: str | msgspec.UnsetType = msgspec.UNSET
    inner: Inner = Inner(color="blue")
    photo: bytes = b""
    token: UUID | None = None


@command(service="post", effect=Effect.READ_ONLY)
class AskRow(Command[Row], frozen=True):
    """Answers with a list."""

    order_id: str


@command(service="post", effect=Effect.READ_ONLY)
class Send(Command[c.Done], frozen=True):
    """Takes anything."""

    value: Any


def defined(body: Callable[[Any, Any], Any]) -> Definition[Any, Any]:
    """A definition with this body over an `Order`."""

    def written(s: Saga, order: Order) -> None:
        body(s, order)

    return define("t", version=1)(written)


def sending(value: Callable[[Any], Any]) -> Definition[Any, Any]:
    """One that sends this."""
    return defined(lambda s, order: s.read("send", Send(value=value(order))))


def of_a_reply(s: Any, o: Any) -> None:
    """Reads a field of the reply."""
    s.read("send", Send(value=s.read("ask", AskRow(order_id=o.order_id)).sku))


def of_an_item(s: Any, o: Any) -> None:
    """Reads the item itself."""
    with s.each("every", o.rows, limit=5) as row:
        s.read("send", Send(value=row))


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (lambda s, o: s.read("send", Send(value=o.row.sku)), "input.row.sku"),
        (lambda s, o: s.read("send", Send(value=o.row)), "input.row"),
        (lambda s, o: s.read("send", Send(value=coalesce(o.maybe_row.sku, "x"))), "input.maybe_row.sku"),
        (of_a_reply, "ask.sku"),
        (of_an_item, "every"),
    ],
)
def test_a_struct_that_is_a_list_on_the_wire_is_not_read(body: Callable[[Any, Any], Any], read: str) -> None:
    """Otherwise every start is refused, or the step parks when its effect has happened."""
    with pytest.raises(DefinitionError) as failure:
        defined(body)
    [problem] = failure.value.problems
    assert problem.place.endswith("send.value")
    assert problem.reason == f"reads {read}, but Row is array_like: a list, not an object"
    assert "drop array_like" in problem.fix


def test_a_reply_that_is_a_list_may_be_left_unread() -> None:
    """Only what is read is checked."""
    assert sending(lambda o: o.order_id).compiled.reads == {"input.order_id": "str"}
    assert defined(lambda s, o: s.read("ask", AskRow(order_id=o.order_id))).lints == ()


@pytest.mark.parametrize("read", [lambda o: o.unset, lambda o: coalesce(o.unset, "x"), lambda o: present(o.unset)])
def test_a_field_without_a_value_is_refused(read: Callable[[Any], Any]) -> None:
    """UNSET cannot be written down; null can."""
    with pytest.raises(DefinitionError) as failure:
        sending(read)
    assert [(p.reason, p.fix) for p in failure.value.problems] == [
        (
            "reads input.unset, which has no value, not even null, when it is missing (UNSET)",
            "let the contract say '... | None = None'",
        )
    ]


def test_two_defaults_for_one_place_are_told_apart() -> None:
    """There is no null in it, so nothing is said of null."""
    with pytest.raises(DefinitionError) as failure:
        sending(lambda o: o.inner.color)
    [problem] = failure.value.problems
    assert problem.reason == (
        "reads input.inner.color, which is 'blue' when input.inner is missing, but 'red' when input.inner.color is"
    )
    assert problem.fix == "let the contract have one default there"


def test_a_dataclass_is_passed_on_but_not_read() -> None:
    """It has the field; only a Struct says what it is on the wire."""
    assert sending(lambda o: o.street).compiled.reads == {"input.street": "object"}
    with pytest.raises(PlaceholderMisuse, match=r"'.name' is read from Street, which is no Struct. Fix: make Street a"):
        sending(lambda o: o.street.name)


def test_a_dataclass_holds_no_placeholder() -> None:
    """As a constant it is written; with a value of the run in it, it cannot be."""
    assert sending(lambda _: Street("Main St")).lints == ()
    with pytest.raises(DefinitionError) as failure:
        sending(lambda o: Street(o.order_id))
    [problem] = failure.value.problems
    assert problem.place == "send.value"
    assert problem.reason == "the dataclass Street holds a value that only a run knows (name)"
    assert problem.fix == "make Street a msgspec.Struct, or write a dict"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (lambda o: size(o.photo) > 3, "input.photo is bytes, recorded as base64: its size would be that of the text"),
        (lambda o: size(coalesce(o.photo, b"")) > 3, "its size would be that of the text"),
        (lambda o: o.photo < b"\x80", "input.photo is bytes, recorded as base64, which has another order"),
        (lambda o: o.photo > b"\x80", "which has another order"),
    ],
)
def test_bytes_have_no_size_and_no_order(condition: Callable[[Any], Any], reason: str) -> None:
    """b"abc" would have the size 4, and b"\\xfb" would come before b"\\x80"."""

    def body(s: Any, o: Any) -> None:
        with s.when(condition(o)):
            s.read("send", Send(value=1))

    with pytest.raises(DefinitionError) as failure:
        defined(body)
    [problem] = failure.value.problems
    assert problem.place == "when-1"
    assert reason in problem.reason
    assert "ask a participant" in problem.fix


def test_what_is_recorded_as_text_is_compared_as_the_text() -> None:
    """A constant is written as `saga.Client` writes it; other spellings are other texts, as the guide says."""
    token = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")

    def body(s: Any, o: Any) -> None:
        with s.when(all_of(o.photo == b"abc", coalesce(o.token, token) == token)):
            s.read("send", Send(value=1))

    [block] = defined(body).compiled.blocks
    assert isinstance(block, When)
    written = '{"photo":"YWJj","token":"%s"}'
    assert holds(block.condition, {"input": (written % token).encode()})
    assert not holds(block.condition, {"input": (written % token.hex).encode()})
