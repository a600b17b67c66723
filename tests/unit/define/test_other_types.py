"""A word that is given another type says so, with its place, and never as an error of Python."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from saga import DefinitionError, On, Retry, Saga, define
from tests.typing import orders as c
from tests.unit.define import mistakes as m


def trying(on: Any) -> m.Body:
    """An attempt that reacts to this."""

    def body(s: Any, _: Any) -> None:
        with s.attempt("pay", on=on):
            s.step("charge", m.CHARGE, undo=m.REFUND, retry=Retry(attempts=2))

    return body


def quoting(**words: Any) -> m.Body:
    """A step with these words."""
    return lambda s, _: s.read("quote", m.QUOTE, **words)


def found(body: m.Body, **header: Any) -> list[tuple[str, str, str]]:
    """All that the build says."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        body(s, order)

    build: Callable[..., Any] = define
    with pytest.raises(DefinitionError) as failure:
        build(**{"name": "t", "version": 1, **header})(written)
    return [(problem.place, problem.reason, problem.fix) for problem in failure.value.problems]


REPEATED = "3 does not say how it is repeated"


@pytest.mark.parametrize(
    ("body", "place", "reason", "fix"),
    [
        (quoting(retry=3), "quote", REPEATED, "Retry(attempts=...)"),
        (quoting(retry=Retry), "quote", "does not say how it is repeated", "Retry(attempts=...)"),
        (quoting(retry=Retry(first=1)), "quote", "first=1 has no unit", "first=timedelta(seconds=...)"),  # type: ignore[arg-type] # the mistake
        (quoting(retry=Retry(attempts="3")), "quote", "attempts='3' is no number", "1 or more"),  # type: ignore[arg-type] # the mistake
        (quoting(timeout=30), "quote", "timeout=30 has no unit", "timeout=timedelta(seconds=...)"),
        (quoting(within=60), "quote", "within=60 has no unit", "within=timedelta(seconds=...)"),
        (lambda s, _: s.pivot("book", m.BOOK, timeout=30), "book", "timeout=30 has no unit", "timedelta(seconds"),
        (
            lambda s, _: s.step("charge", m.CHARGE, undo=m.REFUND, undo_retry=3),
            "charge.undo_retry",
            REPEATED,
            "Retry(attempts=...)",
        ),
        (trying(c.CardDeclined), "pay", "on=CardDeclined is no list", "on=[CardDeclined]"),
        (trying(On.EXHAUSTED), "pay", "on=On.EXHAUSTED is no list", "on=[On.EXHAUSTED]"),
        (trying("CardDeclined"), "pay", "on=CardDeclined is no list", "on=[CardDeclined]"),
        (trying(None), "pay", "on=None is no list", "on=["),
    ],
)
def test_a_word_of_another_type_is_one_problem(body: m.Body, place: str, reason: str, fix: str) -> None:
    """What is meant is clear from the word, and is what the fix says."""
    [(where, why, what)] = found(body)
    assert where == place
    assert reason in why
    assert fix in what


@pytest.mark.parametrize(
    ("header", "reason", "fix"),
    [
        ({"deadline": 5}, "deadline=5 has no unit", "deadline=timedelta(hours=...)"),
        ({"version": "1"}, "version='1'", "a number from 1 to 9999"),
        ({"name": 7}, "the name 7 does not fit a routing key", "a letter"),
    ],
)
def test_a_header_of_another_type_is_one_problem(header: dict[str, Any], reason: str, fix: str) -> None:
    """The rest of the definition is looked at all the same."""
    [(where, why, what)] = found(quoting(), **header)
    assert (where, why) == ("define", reason)
    assert fix in what
    assert len(found(quoting(within=timedelta(days=9)), **header)) == 2
