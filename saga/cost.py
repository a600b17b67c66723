"""What something cost, as participants tell it and histories keep it: exact decimals by unit, never floats.

As text, the header `saga-cost`: `0.0123 USD, 1520 tokens`. Which units there are is for those who tell them; `USD` and
`usd` are two.
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

Cost = dict[str, Decimal]
"""Amounts by unit, none below 0. Where a reply told one that cannot be read, it is empty."""

UNITS_MAX: Final = 8
"""Of one reply."""
UNIT_CHARACTERS_MAX: Final = 32
DIGITS_MAX: Final = 12
"""Of one amount, before its point; and behind it."""
TEXT_CHARACTERS_MAX: Final = UNITS_MAX * (2 * DIGITS_MAX + UNIT_CHARACTERS_MAX + 4)
SUM_UNITS_MAX: Final = 32
"""Of a sum: what comes in further units is added up as `other`, so that no participant can make it grow."""
OTHER: Final = "other"

_UNIT: Final = rf"[A-Za-z][A-Za-z0-9_-]{{0,{UNIT_CHARACTERS_MAX - 1}}}"
_ITEM: Final = rf"[0-9]{{1,{DIGITS_MAX}}}(\.[0-9]{{1,{DIGITS_MAX}}})? {_UNIT}"
PATTERN: Final = f"^{_ITEM}(, ?{_ITEM}){{0,{UNITS_MAX - 1}}}$"
"""Of the text, as ECMA 262 writes it."""

_TEXT: Final = re.compile(PATTERN[1:-1])
_UNIT_TEXT: Final = re.compile(_UNIT)
_EXACT: Final = Context(prec=60)
"""More digits than any sum of amounts has: nothing is rounded."""
_FINEST: Final = Decimal(1).scaleb(-DIGITS_MAX)
_TOO_MUCH: Final = Decimal(10) ** DIGITS_MAX


def read(text: str) -> Cost:
    """The cost in a text. Raises ValueError for any other text: also where a unit is there twice."""
    if len(text) > TEXT_CHARACTERS_MAX or not _TEXT.fullmatch(text):
        raise ValueError("no cost, such as `0.0123 USD, 1520 tokens`")
    cost: Cost = {}
    for item in text.split(","):
        amount, _, unit = item.strip().partition(" ")
        if unit in cost:
            raise ValueError("a unit is there twice")
        cost[unit] = _plain(Decimal(amount))
    return cost


def spelt(cost: Cost) -> str:
    """The cost as text, the same for equal costs; what `read` takes while it is of one reply."""
    return ", ".join(f"{amount:f} {unit}" for unit, amount in sorted(cost.items()))


def with_amount(cost: Cost | None, amount: int | Decimal, unit: str) -> Cost:
    """The cost and one amount more, rounded to as many digits as a reply carries.

    Raises TypeError for a float, ValueError for what no reply can carry.
    """
    given: object = amount  # a caller without a type checker may have put anything there
    if not isinstance(given, int | Decimal):
        raise TypeError(f"a cost of {given!r} {unit}. Fix: an int or a Decimal, never a float")
    if not _UNIT_TEXT.fullmatch(unit):
        fix = f"Fix: a letter, then letters, digits, '-' and '_', at most {UNIT_CHARACTERS_MAX}"
        raise ValueError(f"the unit {unit[:80]!r} of a cost. {fix}")
    exact = Decimal(given)
    if not (exact.is_finite() and 0 <= exact < _TOO_MUCH):
        raise ValueError(f"a cost of {exact:.3g} {unit}. Fix: from 0 to below 10^{DIGITS_MAX}")
    so_far = {} if cost is None else cost
    total = _EXACT.add(so_far.get(unit, Decimal(0)), exact.quantize(_FINEST, context=_EXACT))
    if total >= _TOO_MUCH or (unit not in so_far and len(so_far) == UNITS_MAX):
        raise ValueError(f"a cost in more than {UNITS_MAX} units, or of 10^{DIGITS_MAX} {unit}. Fix: tell less")
    return {**so_far, unit: _plain(total)}


def added(costs: Iterable[Cost]) -> Cost:
    """What they come to, unit by unit."""
    total: Cost = {}
    for cost in costs:
        for unit, amount in cost.items():
            kept = unit if unit in total or len(total) < SUM_UNITS_MAX - 1 else OTHER
            total[kept] = _plain(_EXACT.add(total.get(kept, Decimal(0)), amount))
    return total


def _plain(amount: Decimal) -> Decimal:
    """The same number in one form, whoever wrote it: no sign, no zeros behind the point, no exponent above it."""
    whole = amount.to_integral_value(context=_EXACT)
    if amount == whole:
        return whole.quantize(Decimal(1), context=_EXACT).copy_abs()
    return amount.normalize(_EXACT)
