"""What Python would answer while the definition is built: refused at the first place, with what to write instead."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from saga import DefinitionError, Saga, all_of, coalesce, define, no_undo, not_, one_of, present, required, size, text
from saga.define import PlaceholderMisuse
from tests.typing import orders as c

Body = Callable[[Any, Any], Any]


def build(body: Body) -> None:
    """Builds a definition with this body."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        body(s, order)

    define("t", version=1)(written)


def mail(s: Any, to: Any) -> None:
    """Uses a value."""
    s.pivot("mail", c.SendMail(to=to, subject="x"))


def steps(s: Any, o: Any) -> None:
    """An undo that writes steps."""
    charge = c.ChargeCard(order_id="o", amount=Decimal(1))
    s.step("charge", charge, undo=lambda _: s.step("refund", charge, undo=no_undo("x")))


def match_member(s: Any, o: Any) -> None:
    """`case` compares, and then asks for the truth."""
    match o.tier:
        case c.Tier.VIP:
            mail(s, "a")
        case _:
            mail(s, "b")


MISUSES: dict[str, tuple[Body, str]] = {
    "if": (lambda s, o: mail(s, "a" if o.total > 5 else "b"), "s.when(...)"),
    "and": (lambda s, o: s.when(o.gift and o.total > 5).__enter__(), "all_of(...)"),
    "or default": (lambda s, o: mail(s, o.coupon or "none"), "coalesce(x, y)"),
    "not": (lambda s, o: s.when(not o.gift).__enter__(), "not_(...)"),
    "chained": (lambda s, o: s.when(5 < o.total < 9).__enter__(), "all_of(...)"),
    "in constants": (lambda s, o: s.when(o.address.country in ("DE", "AT")).__enter__(), "s.when(...)"),
    "in value": (lambda s, o: s.when("x" in o.lines).__enter__(), "one_of(x, ...)"),
    "match": (match_member, "s.when(...)"),
    "for": (lambda _, o: [line.sku for line in o.lines], "with s.each("),
    "unpack": (lambda s, o: mail(s, [*o.lines]), "pass the whole list on"),
    "len": (lambda s, o: s.when(len(o.lines) > 2).__enter__(), "size(x)"),
    "f-string": (lambda s, o: mail(s, f"{o.order_id}"), "text('"),
    "format": (lambda s, o: mail(s, "{}".format(o.order_id)), "text('"),  # noqa: UP032 - the case
    "percent": (lambda s, o: mail(s, "order %s" % o.order_id), "text('"),  # noqa: UP031 - the case
    "str": (lambda s, o: mail(s, str(o.order_id)), "text('"),
    "plus": (lambda s, o: mail(s, "order " + o.order_id), "text('"),
    "times": (lambda s, o: mail(s, o.total * 2), "in a participant"),
    "minus": (lambda s, o: mail(s, 2 - o.total), "in a participant"),
    "negative": (lambda s, o: mail(s, -o.total), "in a participant"),
    "int": (lambda s, o: mail(s, int(o.total)), "in a participant"),
    "round": (lambda s, o: mail(s, round(o.total)), "in a participant"),
    "bit and": (lambda s, o: s.when((o.total > 1) & o.gift).__enter__(), "all_of(...)"),
    "invert": (lambda s, o: s.when(~o.gift).__enter__(), "not_(...)"),
    "method": (lambda s, o: mail(s, o.email.lower()), "belong in a participant"),
    "call": (lambda s, o: mail(s, o.email()), "belong in a participant"),
    "field": (lambda s, o: mail(s, o.emial), "its fields are order_id, lines"),
    "assignment": (lambda _, o: o.lines.__setitem__(0, 1), "recorded facts"),
    "equals None": (lambda s, o: s.when(o.coupon == None).__enter__(), "not_(present(x))"),  # noqa: E711 - the case
    "when constant": (lambda s, _: s.when(True).__enter__(), "not_(present(x))"),
    "word of constant": (lambda s, o: s.when(all_of(True, o.gift)).__enter__(), "a field of the input"),
    "present constant": (lambda s, _: s.when(present(3)).__enter__(), "a field of the input"),
    "size of constant": (lambda s, _: s.when(size([1]) > 0).__enter__(), "a field of the input"),
    "required constant": (lambda s, _: mail(s, required("x")), "a field of the input"),
    "no conditions": (lambda s, _: s.when(all_of()).__enter__(), "all_of(a > 1, b)"),
    "no options": (lambda s, o: s.when(one_of(o.tier)).__enter__(), "one_of(value, 'a', 'b')"),
    "no places": (lambda s, o: mail(s, text("x", o.email)), "one {} a value"),
    "loose brace": (lambda s, o: mail(s, text("{x}", o.email)), "a brace is {{ or }}"),
    "template": (lambda s, o: mail(s, text(o.email)), "text('... {} ...', x)"),
    "negative index": (lambda s, o: mail(s, o.lines[-1].sku), "a number from 0"),
    "slice": (lambda s, o: mail(s, o.lines[:2]), "a number from 0"),
    "index of placeholder": (lambda s, o: mail(s, o.lines[o.total]), "a number from 0"),
    "item of scalar": (lambda s, o: mail(s, o.total[0]), "read its fields"),
    "field of choice": (lambda s, o: mail(s, coalesce(o.address, o.address).city), "coalesce(a.city, b.city)"),
    "name": (lambda s, o: s.pivot(o.order_id, c.SendMail(to="a", subject="b")), "names are constants"),
    "key of dict": (lambda s, o: mail(s, {o.order_id: 1}), "keys are constants"),
    "placeholder as command": (lambda s, o: s.pivot("mail", o.address), "write the command"),
    "steps in undo": (steps, "an undo returns one command"),
    "not of constant": (lambda s, _: s.when(not_(False)).__enter__(), "not_(present(x))"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_refused_at_once_with_what_to_write_instead(name: str) -> None:
    """The traceback ends in the author's line; the message says that it is misuse, and the definition is named."""
    body, advice = MISUSES[name]
    with pytest.raises(PlaceholderMisuse) as failure:
        build(body)
    [problem] = failure.value.problems
    assert advice in problem.fix
    assert "misuse of a placeholder (only the first one is found)" in str(failure.value)
    assert failure.value.__notes__ == ["while t v1 was built"]


def test_misuse_is_a_type_error_and_a_definition_error() -> None:
    """Who catches either gets it."""
    assert issubclass(PlaceholderMisuse, DefinitionError)
    assert issubclass(PlaceholderMisuse, TypeError)


def test_errors_of_python_say_that_values_are_missing() -> None:
    """`", ".join([order.email])` is refused by Python before a placeholder is asked."""
    with pytest.raises(TypeError) as failure:
        build(lambda s, o: mail(s, ", ".join(o.lines[i].sku for i in range(2))))
    assert "fields of the input and of replies have no value yet" in failure.value.__notes__[0]


def test_what_never_reaches_a_placeholder_is_read_in_the_source() -> None:
    """`is`, `isinstance` and class patterns are answered by Python without a sign of it."""

    def written(s: Saga, o: Any) -> None:
        s.pivot("a", c.SendMail(to="vip" if o.coupon is None else "std", subject="x"))
        s.retryable("b", c.SendMail(to="d" if isinstance(o.total, Decimal) else "f", subject="x"))
        match o.tier:
            case c.Tier():
                pass
            case _:
                pass

    written.__annotations__["o"] = c.PlaceOrder
    with pytest.raises(DefinitionError) as failure:
        define("t", version=1)(written)
    found = [(problem.place, problem.reason.split("'")[1]) for problem in failure.value.problems]
    first = int(found[0][0].removeprefix("line "))
    assert found == [
        (f"line {first}", "o.coupon is None"),
        (f"line {first + 1}", "isinstance(o.total, Decimal)"),
        (f"line {first + 3}", "c.Tier()"),
    ]
    assert Path(__file__).read_text().splitlines()[first - 1].strip().startswith('s.pivot("a"')


def test_the_clock_is_refused() -> None:
    """Two builds differ."""
    with pytest.raises(DefinitionError, match="two builds differ"):
        build(lambda s, _: mail(s, datetime.now(UTC).isoformat()))
