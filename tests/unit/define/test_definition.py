"""A definition is data: one byte form, one hash, every field written, every path it reads."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import msgspec
import pytest

from saga import (
    Command,
    DefinitionError,
    Effect,
    On,
    Saga,
    all_of,
    any_of,
    coalesce,
    command,
    define,
    not_,
    one_of,
    present,
    required,
    size,
    text,
)
from saga.core.definition import Attempt, OnExhausted, OnUndoFailed, Step, When, content_hash, decode, steps_of
from saga.core.evaluation import check_reads, holds, render
from saga.define import Definition
from tests.typing import orders as c

QUOTE = c.QuoteCourier(address=c.Address(street="s", city="c", country="d"))


class Size(IntEnum):
    """A plain number on the wire."""

    SMALL = 1
    LARGE = 2


class Options(msgspec.Struct, frozen=True):
    """Nested defaults."""

    color: str = "red"
    count: int = 1


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """Every kind of field; camelCase on the wire."""

    order_id: str
    due_at: datetime
    took: timedelta
    note: str | None
    labels: dict[str, str]
    counts: list[int]
    size: Size = Size.SMALL
    options: Options = Options()
    coupon: str | None = None
    extra: Options | None = None
    anything: Any = None


@command(service="mail", effect=Effect.AT_MOST_ONCE)
class Send(Command[c.Done], frozen=True, tag="send", tag_field="kind"):
    """Takes whatever is given to it."""

    value: Any
    other: list[str] = msgspec.field(default_factory=list)


def defined(body: Any) -> Definition[Any, Any]:
    """A definition over `Order` whose single step sends a value."""

    def written(s: Saga, order: Order) -> None:
        s.pivot("send", Send(value=body(order)))

    return define("t", version=1)(written)


def sent(definition: Definition[Any, Any], body: bytes) -> bytes:
    """What its step sends for this input."""
    [step] = steps_of(definition.compiled.blocks)
    return bytes(msgspec.json.decode(render(step.command.body, {"input": body}), type=dict[str, msgspec.Raw])["value"])


def test_a_definition_has_one_byte_form_and_one_hash() -> None:
    """Golden: this form is stored and compared for years; a change of it is a change of every hash."""
    definition = defined(lambda o: o.order_id)
    assert definition.canonical.decode() == (
        '{"blocks":[{"block":"step","command":{"body":["object",{"kind":["value","send"],"other":["list",[]],'
        '"value":["ref","input",["orderId"],"str"]}],"effect":"at_most_once","failures":[],"name":"Send",'
        '"remembers":"P30D","reply":"mail.Done.v1","senders":[],"service":"mail","version":1},"kind":"pivot",'
        '"no_undo":null,"on_exhausted":"park","on_undo_failed":"hold","path":"send",'
        '"retry":{"attempts":null,"cap":"PT300S","first":"PT1S"},"timeout":"PT30S","undo":null,'
        '"undo_retry":{"attempts":30,"cap":"PT600S","first":"PT1S"},"undo_unknown":null,"within":null}],'
        '"deadline":"P1D","format":1,"input_type":"Order","key":null,"name":"t","output":["value",null],'
        '"output_type":"NoneType","reads":{"input.orderId":"str"},"requester":null,"tags":{},"version":1}'
    )
    assert definition.hash == content_hash(definition.canonical) == HASH


HASH = "17d503c5e0dd334f3dd73366efd71748a3c59e31478ef61d1b83016d4770ab34"


def test_the_reference_order_builds_and_survives_its_own_bytes() -> None:
    """Compiled, encoded, decoded: the same tree."""
    assert decode(c.order.canonical) == c.order.compiled
    assert [type(block) for block in c.order.compiled.blocks] == [Step, Attempt, When, Step, Step, Step]
    assert (c.order.name, c.order.version, c.order.input, c.order.output) == ("order", 3, c.PlaceOrder, c.OrderPlaced)
    assert c.order.lints == ()


def test_a_built_and_a_stored_definition_send_the_same_bytes() -> None:
    """Two processes, one that built it and one that loaded it, must not use one key for two bodies."""
    sources = {"input": b'{"order_id":"o","total":1.10,"lines":[]}', "quote": b'{"carrier":"c"}'}
    stored = {step.path: step for step in steps_of(decode(c.order.canonical).blocks)}
    for step in steps_of(c.order.compiled.blocks):
        if step.path in ("reserve", "charge", "book"):
            assert render(step.command.body, sources) == render(stored[step.path].command.body, sources)


def test_what_is_not_written_is_the_default() -> None:
    """Park, 30 s for an attempt, an hour for the step, no end from the pivot on."""
    steps = {step.path: step for step in steps_of(c.order.compiled.blocks)}
    reserve, book = steps["reserve"], steps["book"]
    assert (reserve.timeout, reserve.within) == (timedelta(seconds=30), timedelta(hours=1))
    assert (reserve.retry.attempts, reserve.retry.first, reserve.retry.cap) == (
        None,
        timedelta(seconds=1),
        timedelta(minutes=5),
    )
    assert (reserve.on_exhausted, reserve.on_undo_failed) == (OnExhausted.PARK, OnUndoFailed.HOLD)
    assert reserve.undo_retry.attempts == 30
    assert (book.within, book.retry.attempts) == (None, None)


def test_within_is_never_longer_than_the_deadline_by_itself() -> None:
    """A short saga needs no `within=`."""

    @define("t", version=1, deadline=timedelta(minutes=10))
    def short(s: Saga, _: c.PlaceOrder) -> None:
        s.read("quote", QUOTE)

    [step] = steps_of(short.compiled.blocks)
    assert step.within == timedelta(minutes=10)


def test_reads_name_every_path_with_its_type_null_and_default() -> None:
    """`?` may be null, `=` may be missing; a path below either is listed with it."""
    definition = defined(
        lambda o: {
            "due": [o.due_at, o.took],
            "null": [o.note, o.coupon],
            "item": [o.labels["a b"], o.counts[2]],
            "enum": o.size,
            "whole": o.anything,
            "below": o.options.color,
        }
    )
    assert definition.compiled.reads == {
        "input.anything": "any=",
        "input.options": "object=",
        "input.options.color": "str=",
        "input.coupon": "str?=",
        "input.counts[2]": "int=",
        "input.dueAt": "instant",
        'input.labels["a b"]': "str=",
        "input.note": "str?",
        "input.size": "int=",
        "input.took": "duration",
    }


def test_a_field_that_is_missing_has_the_default_of_its_contract() -> None:
    """Also below a field that is missing; null stays null."""
    body = b'{"orderId":"o","dueAt":"2024-01-01T00:00:00Z","took":"PT1S","note":null,"labels":{},"counts":[]}'
    definition = defined(lambda o: {"c": o.options.color, "s": o.size, "n": o.note, "u": o.coupon})
    assert check_reads(definition.compiled.reads, "input", body) is None
    assert sent(definition, body) == b'{"c":"red","n":null,"s":1,"u":null}'
    full = body[:-1] + b',"options":{"color":"blue"},"size":2,"coupon":"x"}'
    assert sent(definition, full) == b'{"c":"blue","n":null,"s":2,"u":"x"}'


def test_a_default_that_cannot_be_told_from_null_is_refused() -> None:
    """Behind a null parent the default would be invented."""

    def built(s: Saga, order: Order) -> None:
        s.pivot("send", Send(value=required(order.extra).color))

    with pytest.raises(DefinitionError, match="one meaning to null and another to a missing field"):
        define("t", version=1)(built)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (lambda o: o.due_at > datetime(2023, 12, 31, 22, tzinfo=UTC), True),
        (lambda o: timedelta(minutes=1) < o.took, True),
        (lambda o: o.size == Size.LARGE, True),
        (lambda o: o.size >= 1.5, True),
        (lambda o: one_of(o.order_id, "a", "o"), True),
        (lambda o: all_of(present(o.coupon), required(o.coupon) == "x"), False),
        (lambda o: any_of(not_(present(o.note)), size(o.labels) > 3), True),
        (lambda o: coalesce(o.coupon, "none") != "none", False),
        (lambda o: text("{}-{}", o.order_id, o.size) == "o-2", True),
        (lambda o: size(o.counts) == 2, True),
    ],
)
def test_conditions_mean_what_they_say(condition: Any, truth: bool) -> None:
    """Written in Python, decided over JSON."""

    def written(s: Saga, order: Order) -> None:
        with s.when(condition(order)):
            s.read("quote", QUOTE)

    [block] = define("t", version=1)(written).compiled.blocks
    assert isinstance(block, When)
    body = (
        b'{"orderId":"o","dueAt":"2024-01-01T00:00:00+01:00","took":"PT90S","note":null,'
        b'"labels":{},"counts":[1,2],"size":2}'
    )
    assert holds(block.condition, {"input": body}) is truth


def test_blocks_have_names_of_their_own() -> None:
    """A `when` without a name counts; a name given is kept, and is never counted twice."""

    @define("t", version=1)
    def written(s: Saga, o: c.PlaceOrder) -> None:
        with s.when(o.gift):
            s.read("a", QUOTE)
        with s.when(o.gift, name="when-2"):
            s.read("b", QUOTE)
        with s.when(o.gift) as third:
            s.read("c", QUOTE)
        with third.otherwise():
            s.read("d", QUOTE)

    assert [block.path for block in written.compiled.blocks] == ["when-1", "when-2", "when-3"]


def test_an_undo_that_handles_absence_needs_no_unknown() -> None:
    """`coalesce(r.charge_id, None)` is null when there is no reply."""

    @define("t", version=1)
    def written(s: Saga, o: c.PlaceOrder) -> None:
        s.step(
            "charge",
            c.ChargeCard(order_id=o.order_id, amount=o.total),
            undo=lambda r: c.RefundCharge(charge_id=coalesce(r.charge_id, None), reason="x"),
        )

    [step] = steps_of(written.compiled.blocks)
    assert step.undo is not None
    assert step.undo_unknown is None
    assert render(step.undo.body, {"input": b"{}"}) == b'{"charge_id":null,"reason":"x"}'


def test_each_arm_may_have_its_pivot() -> None:
    """Behind such a block the saga only goes forward."""

    @define("t", version=1)
    def written(s: Saga, o: c.PlaceOrder) -> None:
        with s.when(o.gift) as gift:
            s.pivot("book", c.BookCourier(order_id=o.order_id, carrier="a"))
        with gift.otherwise():
            s.pivot("post", c.SendMail(to=o.email, subject="x"))
        s.retryable("confirm", c.SendMail(to=o.email, subject="y"))

    assert len(list(steps_of(written.compiled.blocks))) == 3


def test_a_read_after_the_pivot_may_give_up_where_an_attempt_reacts() -> None:
    """Reading has no effect, so there is another way."""

    @define("t", version=1)
    def written(s: Saga, o: c.PlaceOrder) -> None:
        s.pivot("book", c.BookCourier(order_id=o.order_id, carrier="a"))
        with s.attempt("ask", on=[On.EXHAUSTED]):
            s.read("quote", QUOTE, within=timedelta(minutes=1))

    steps = {step.path: step.within for step in steps_of(written.compiled.blocks)}
    assert steps == {"book": None, "quote": timedelta(minutes=1)}


def test_tags_are_text() -> None:
    """Whatever they are made of: they are looked for in a list of strings."""
    rendered = {
        name: render(tag, {"input": b'{"address":{"city":"Ulm"},"tier":"vip"}'})
        for name, tag in c.order.compiled.tags.items()
    }
    assert rendered == {"city": b'"Ulm"', "tier": b'"vip"'}
