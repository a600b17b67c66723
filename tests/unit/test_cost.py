"""Costs: what a handler may tell, and what a header may say."""

from decimal import Decimal
from typing import Any

import pytest

from saga import Context
from saga.cost import SUM_UNITS_MAX, UNITS_MAX, added, read, spelt, with_amount


def context() -> Context:
    """That of a handler at work."""
    return Context(key="k", saga="s", step="p", attempt=1)


def test_amounts_of_one_unit_add_up() -> None:
    """A handler tells a cost call by call, exactly: three tenths are 0.3."""
    told = context()
    for _ in range(3):
        told.add_cost(Decimal("0.1"), "USD")
        told.add_cost(500, "tokens")
    assert told.cost == {"USD": Decimal("0.3"), "tokens": Decimal(1500)}


def test_a_handler_that_tells_nothing_costs_nothing() -> None:
    """No cost is told as none, not as an empty one."""
    assert context().cost is None


def test_an_amount_is_rounded_to_what_a_reply_carries() -> None:
    """A division that does not end is no reason to fail."""
    assert with_amount(None, Decimal(2) / Decimal(3), "USD") == {"USD": Decimal("0.666666666667")}


@pytest.mark.parametrize(
    ("amount", "unit"),
    [
        (-1, "USD"),
        (Decimal("-0.01"), "USD"),
        (10**12, "USD"),
        (Decimal("1e400"), "USD"),
        (Decimal("NaN"), "USD"),
        (Decimal("sNaN"), "USD"),
        (Decimal("Infinity"), "USD"),
        (1, ""),
        (1, "US D"),
        (1, "7up"),
        (1, "\u20ac"),
        (1, "u" * 33),
    ],
)
def test_what_no_reply_can_carry_is_refused(amount: int | Decimal, unit: str) -> None:
    """Amounts out of range and words that are no unit raise at once, with a fix."""
    with pytest.raises(ValueError, match="Fix: "):
        with_amount(None, amount, unit)


@pytest.mark.parametrize("amount", [0.1, "0.1", None])
def test_what_is_not_exact_is_refused(amount: Any) -> None:
    """A float is no amount."""
    with pytest.raises(TypeError, match="never a float"):
        with_amount(None, amount, "USD")


def test_a_reply_has_so_many_units_and_no_more() -> None:
    """One unit more is refused, and so is a sum that no longer fits."""
    told = context()
    for number in range(UNITS_MAX):
        told.add_cost(10**12 - 1, f"u{number}")
    with pytest.raises(ValueError, match="Fix: "):
        told.add_cost(1, "more")
    with pytest.raises(ValueError, match="Fix: "):
        told.add_cost(1, "u0")
    told.add_cost(0, "u0")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1520 tokens", "1520 tokens"),
        ("0.01230 USD,1520.00 tokens", "0.0123 USD, 1520 tokens"),
        ("1 b, 2 a", "2 a, 1 b"),
        ("000.000 USD", "0 USD"),
        ("0.000000000001 USD", "0.000000000001 USD"),
    ],
)
def test_one_cost_has_one_text(text: str, canonical: str) -> None:
    """However it is written, it is spelt in one way, without an exponent."""
    assert spelt(read(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "USD", "5USD", "-5 USD", "+5 USD", ".5 USD", "5. USD", "1e3 USD", "1,5 USD", "5  USD", " 5 USD",
        "5 USD ",
        "5 USD, 5 USD", "5 USD; 1 t", "5 USD,", "5 \u20ac", "\u0665 USD", "1234567890123 USD", "0.1234567890123 USD",
        ", ".join(f"1 u{n}" for n in range(9)), "NaN USD", "5 USD\n", "5 " + "u" * 33, "1 a," * 200, "{'USD': 5}",
    ],
)  # fmt: skip
def test_another_form_is_refused(text: str) -> None:
    """Nothing is guessed: a text is a cost or none."""
    with pytest.raises(ValueError, match=r"cost|twice"):
        read(text)


def test_a_sum_of_many_units_stays_small() -> None:
    """What comes in too many units is added up under one name."""
    total = added([{f"u{number:03}": Decimal(1)} for number in range(200)])
    assert len(total) == SUM_UNITS_MAX
    assert total["other"] == 200 - (SUM_UNITS_MAX - 1)
