"""`coalesce` of lists, dicts and numbers: the choice is what its values are, and holds what they hold."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from saga import Command, DefinitionError, Effect, Saga, coalesce, command, define, one_of, required, text
from saga.core.definition import Each, Step, When
from saga.core.evaluation import holds, render
from saga.define import Definition, PlaceholderMisuse
from saga.define.placeholder import Placeholder, value_of
from tests.typing import orders as c

choose: Any = coalesce
"""As somebody without a type checker calls it."""


class Row(msgspec.Struct, frozen=True):
    """An item with a field."""

    sku: str
    count: int = 1


class Cart(msgspec.Struct, frozen=True):
    """What may be there, and what stands for it."""

    names: list[str] | None = None
    others: list[str] = []
    rows: list[Row] | None = None
    prices: dict[str, Decimal] | None = None
    price: Decimal | None = None
    weight: float | None = None
    loose: Any = None
    loose_too: Any = None


@command(service="shop", effect=Effect.READ_ONLY)
class Ask(Command[c.Done], frozen=True):
    """Takes a text, a list and rows."""

    sku: str = ""
    names: list[str] = msgspec.field(default_factory=list)
    rows: list[Row] = msgspec.field(default_factory=list)


Body = Callable[[Any, Any], Any]


def built(body: Body) -> Definition[Any, Any]:
    """A definition with this body over a `Cart`."""

    def written(s: Saga, cart: Cart) -> None:
        body(s, cart)

    return define("t", version=1)(written)


def asked(body: Callable[[Any], Any]) -> Definition[Any, Any]:
    """A definition whose one step asks this."""
    return built(lambda s, cart: s.read("ask", body(cart)))


@pytest.mark.parametrize(
    "default", [lambda _: [], lambda _: ["x"], lambda o: o.others, lambda o: [text("{}", o.others[0])]]
)
def test_the_items_of_a_choice_of_lists_are_its_items(default: Callable[[Any], Any]) -> None:
    """What the build advises for a list that may be null goes through `s.each`."""

    def body(s: Any, cart: Any) -> None:
        with s.each("every", coalesce(cart.names, default(cart)), limit=5) as name:
            s.read("ask", Ask(sku=name))

    definition = built(body)
    [each] = definition.compiled.blocks
    assert isinstance(each, Each)
    [step] = each.body
    assert isinstance(step, Step)
    assert definition.compiled.reads["every"] == "str"
    assert render(each.items, {"input": b'{"names":["a","b"],"others":["c"]}'}) == b'["a","b"]'
    assert b'"sku":"a"' in render(step.command.body, {"every": b'"a"'})


def test_fields_of_the_items_of_a_choice_are_read() -> None:
    """Rows keep their fields, whatever stands for a missing list."""
    for default in ([], [Row(sku="z")], [{"sku": "z"}]):

        def body(s: Any, cart: Any, default: Any = default) -> None:
            with s.each("every", coalesce(cart.rows, default), limit=5) as row:
                s.read("ask", Ask(sku=row.sku))

        assert built(body).compiled.reads["every.sku"] == "str"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda o: Ask(names=choose(o.names, [1])), "coalesce(input.names, [1]) is "),
        (lambda o: Ask(rows=choose(o.rows, [{"skuu": "z"}])), "has the key 'skuu', which Row does not know"),
        (lambda o: Ask(names=choose(o.others, o.prices)), "coalesce(input.others, input.prices) is "),
    ],
)
def test_what_stands_for_a_list_must_hold_what_it_holds(body: Callable[[Any], Any], reason: str) -> None:
    """A default is looked into like every constant."""
    with pytest.raises(DefinitionError) as failure:
        asked(body)
    assert reason in failure.value.problems[0].reason


@pytest.mark.parametrize(
    "read",
    [
        lambda o: choose(o.names, o.others)[0],
        lambda o: choose(o.names, [])[0],
        lambda o: choose(o.rows, [])[0].sku,
        lambda o: choose(o.prices, {})["a"],
        lambda o: choose(choose(o.loose, "k")["a"], "z"),
        lambda o: choose(choose(o.loose, "k").a, "z"),
        lambda o: choose(o.loose, o.loose_too).a,
        lambda o: required(choose(o.names, o.others))[0],
    ],
)
def test_nothing_is_read_from_a_choice(read: Callable[[Any], Any]) -> None:
    """A path names one recorded place; which it would be is not known, so the author chooses last."""
    with pytest.raises(PlaceholderMisuse, match=r"is read from a choice. Fix: read first, then choose: coalesce\(a"):
        asked(lambda o: Ask(sku=read(o)))


def test_nothing_is_read_from_what_is_collected() -> None:
    """A collected list is recorded nowhere."""

    def body(s: Any, cart: Any) -> None:
        with s.each("every", cart.others, limit=5) as name:
            found = s.read("ask", c.QuoteCourier(address=c.Address(street=name, city="c", country="d")))
        s.read("first", Ask(sku=s.collect(found.carrier)[0]))

    with pytest.raises(PlaceholderMisuse, match="read from what is collected"):
        built(body)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (lambda o: coalesce(o.price, 0) > Decimal(1), True),
        (lambda o: coalesce(o.price, 0) > 1, True),
        (lambda o: coalesce(o.weight, 0) > 1.5, False),
        (lambda o: one_of(coalesce(o.price, 0), 7, Decimal("1.20")), True),
        (lambda o: text("{}", coalesce(o.price, 0)) == "1.20", True),
        (lambda o: text("{}", coalesce(o.weight, 0)) == "0", True),
    ],
)
def test_numbers_of_several_kinds_are_numbers(condition: Callable[[Any], Any], truth: bool) -> None:
    """`coalesce(price, 0)` is compared and written like a price."""

    def body(s: Any, cart: Any) -> None:
        with s.when(condition(cart)):
            s.read("ask", Ask())

    [block] = built(body).compiled.blocks
    assert isinstance(block, When)
    assert holds(block.condition, {"input": b'{"price":"1.20"}'}) is truth


def test_a_choice_has_the_type_of_its_values() -> None:
    """An empty default says nothing; others say what they hold."""

    def kind(value: Any) -> Any:
        assert isinstance(value, Placeholder)
        return value_of(value).type

    found: list[Any] = []

    def body(s: Any, cart: Any) -> None:
        found[:] = [
            kind(coalesce(cart.names, [])),
            kind(coalesce(cart.names, ["x"])),
            kind(coalesce(cart.names, [1])),
            kind(coalesce(cart.prices, {})),
            kind(coalesce(cart.prices, {"a": 1})),
            kind(coalesce(cart.names, None)),
        ]
        s.read("ask", Ask())

    built(body)
    names, prices = list[str], dict[str, Decimal]
    assert found == [names, names, names | list[int], prices, prices | dict[str, int], names | None]
