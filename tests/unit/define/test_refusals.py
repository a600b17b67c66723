"""What the build refuses: each with the place, the reason and the fix."""

from datetime import timedelta
from typing import Any

import pytest

from saga import (
    DefinitionError,
    Saga,
    define,
)
from saga.core.blocks import Step
from tests.typing import orders as c
from tests.unit.define import mistakes as m


def refused(body: m.Body, **header: Any) -> list[tuple[str, str, str]]:
    """Builds, and returns what was found; the types are those of an author without a type checker."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        body(s, order)

    with pytest.raises(DefinitionError) as failure:
        define("t", **{"version": 1, **header})(written)
    return [(problem.place, problem.reason, problem.fix) for problem in failure.value.problems]


TABLE: list[tuple[m.Body, str, str, str]] = [
    (m.undo_needs_unknown, "charge", "its undo reads charge.charge_id, which does not exist", "pass unknown="),
    (m.undo_does_not_take_none, "charge.undo.charge_id", "StrictRefund does not accept None", "| None"),
    (m.undo_elsewhere, "charge.undo", "goes to 'inventory', the step to 'payments'", "let 'payments' undo"),
    (m.unknown_elsewhere, "charge.unknown", "goes to 'inventory'", "let 'payments' undo"),
    (m.undo_refuses, "reserve.undo", "ReserveStock may refuse (OutOfStock)", "without failures"),
    (m.undo_once, "charge.undo", "OnceRefund is at_most_once", "inbox, provider_key or probe"),
    (m.undo_reads, "charge.undo", "LookAtCharge is read_only", "no_undo"),
    (m.undo_class, "charge.undo", "RefundCharge is a class, not a command", "RefundCharge(...)"),
    (m.undo_nothing, "charge", "says nothing about its undo", "no_undo("),
    (m.no_reason, "charge", "no_undo without a reason", "no_undo('why"),
    (m.no_undo_but_unknown, "charge", "has no undo, but says what to send", "remove unknown="),
    (m.step_only_reads, "quote", "QuoteCourier is read_only", "use s.read"),
    (m.read_writes, "charge", "ChargeCard declares provider_key", "use s.step"),
    (m.no_contract, "lost", "Mislaid declares no service and effect", "@command"),
    (m.step_after_pivot, "charge", "stands after the pivot 'book'", "s.retryable"),
    (m.retryable_before_pivot, "mail", "no pivot comes before it", "s.pivot"),
    (m.retryable_refuses, "charge", "may refuse (CardDeclined, LimitReached)", "before the pivot"),
    (m.two_pivots, "mail", "is a second pivot after 'book'", "one point of no return"),
    (m.pivot_in_attempt, "book", "inside the attempt 'try'", "behind the block"),
    (m.pivot_in_one_arm, "book", "in one arm of 'when-1' only", "every arm"),
    (m.pivot_gives_up, "book", "there is no way back", "remove attempts="),
    (m.late_read_gives_up, "quote", "there is no way back", "remove attempts=, within="),
    (m.maybe_absent, "mail.to", "reads wrap.wrap_id, which is absent when 'when-1'", "coalesce(x, default)"),
    (m.maybe_absent_in_all_choices, "mail.to", "may be null", "coalesce(x, default)"),
    (m.other_arm, "invoice.order_id", "never there: 'charge' stands in the other arm of 'pay'", "reply of this arm"),
    (m.otherwise_elsewhere, "when-1", "does not follow directly", "directly behind"),
    (m.otherwise_twice, "when-1", "has two otherwise", "into one"),
    (m.otherwise_inside, "gift", "stands inside it", "directly behind"),
    (m.name_twice, "quote", "is used twice", "name of its own"),
    (m.name_input, "input", "means the saga's input", "name of its own"),
    (m.name_slash, "a/b", "does not fit a path", "a letter, then letters"),
    (m.name_long, "a" * 64, "does not fit a path", "at most 64"),
    (m.empty_attempt, "pay", "its block is empty", "put a step into it"),
    (m.unraised, "pay", "OutOfStock, which no step inside can raise", "remove OutOfStock"),
    (m.unraised_exhaustion, "pay", "exhausted, which no step inside can raise", "remove exhausted"),
    (m.no_reasons, "pay", "reacts to nothing", "On.EXHAUSTED"),
    (m.no_failure, "pay", "is no reason to fail", "a declared failure"),
    (m.reason_twice, "pay", "names CardDeclined twice", "once"),
    (m.null_for_text, "mail.to", "input.coupon may be null", "required(x)"),
    (m.null_compared, "when-1", "input.coupon may be null", "coalesce(x, default)"),
    (m.null_written, "mail.to", "input.coupon may be null", "coalesce(x, default)"),
    (m.wrong_type, "mail.to", "input.total is Decimal, not str", "pass a value that is"),
    (m.wrong_struct, "quote.address", "input is PlaceOrder, not Address", "pass a value that is"),
    (m.wrong_constant, "reserve.lines[0].unit_count", "-1: Expected `int` >= 1", "the contract accepts"),
    (m.set_of_values, "reserve.lines", "is a set", "write a list"),
    (m.nan, "charge.amount", "is no number of JSON", "finite"),
    (m.repr_of_placeholder, "mail.to", "turned into text by repr", "text('"),
    (m.compared_with_other_type, "when-1", "Decimal is compared with str", "of one type"),
    (m.compared_with_no_member, "when-1", "'gold': Invalid enum value", "the contract accepts"),
    (m.compared_as_whole, "when-1", "Address is compared with Address", "scalars"),
    (m.size_of_number, "when-1", "input.total is Decimal, which has no size", "size(a list"),
    (m.timeout_beyond_within, "quote", "timeout=0:05:00 of one attempt is longer", "lengthen within="),
    (m.within_beyond_deadline, "quote", "longer than the saga's deadline of 1 day", "deadline= of define"),
    (m.no_time, "quote", "no time at all", "positive"),
    (m.no_attempt, "quote", "it would never be sent", "1 or more"),
    (m.waits_beyond_cap, "charge.undo_retry", "longer than cap", "make cap"),
    (m.wrong_policy, "charge.on_undo_failed", "<On.PARK: 'park'> is not possible here", "On.HOLD or On.CONTINUE"),
    (m.key_of_reply, "key", "not there when the saga starts", "a field of the input"),
    (m.key_twice, "key", "is given twice", "one business key"),
    (m.nothing, "t", "has no step", "write s.step"),
]


@pytest.mark.parametrize(("body", "place", "reason", "fix"), TABLE, ids=[row[0].__name__ for row in TABLE])
def test_a_mistake_is_refused_with_place_reason_and_fix(body: m.Body, place: str, reason: str, fix: str) -> None:
    """Exactly one problem, and it says what to do."""
    found = refused(body)
    assert [problem[0] for problem in found] == [place]
    assert reason in found[0][1]
    assert fix in found[0][2]


def test_a_definition_wrong_in_five_ways_yields_five_findings() -> None:
    """One build names everything there is to fix."""

    def body(s: Any, o: Any) -> None:
        m.undo_needs_unknown(s, o)
        s.step("charge", m.CHARGE, undo=m.REFUND)
        s.read("write", m.CHARGE)
        m.maybe_absent(s, o)
        s.step("late", m.CHARGE, undo=m.REFUND)

    found = refused(body)
    assert [place for place, _, _ in found] == ["charge", "charge", "write", "mail.to", "late"]


def test_the_error_lists_every_problem_in_words() -> None:
    """What a terminal shows is complete: how many, where, why, and what to do."""

    def written(s: Saga, _: c.PlaceOrder) -> None:
        s.read("quote", m.QUOTE)
        s.read("quote", m.QUOTE)
        s.retryable("mail", m.MAIL)

    with pytest.raises(DefinitionError) as failure:
        define("order", version=7)(written)
    assert str(failure.value) == (
        "order v7: 2 problems\n"
        "  quote: is used twice. Fix: give it a name of its own\n"
        "  mail: is retryable, but no pivot comes before it."
        " Fix: use s.step with undo=, or mark the point of no return with s.pivot"
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"name": "no dots.please"}, "does not fit a routing key"),
        ({"version": 0}, "version=0"),
        ({"version": 10_000}, "version=10000"),
        ({"deadline": timedelta(0)}, "no time at all"),
    ],
)
def test_a_wrong_header_is_refused(header: dict[str, Any], reason: str) -> None:
    """Name, version and deadline go on the wire and into the store."""

    def written(s: Saga, _: c.PlaceOrder) -> None:
        s.pivot("mail", m.MAIL)

    with pytest.raises(DefinitionError, match=reason):
        define(**{"name": "t", "version": 1, **header})(written)


def test_a_function_must_say_what_goes_in_and_out() -> None:
    """The types of input and result are read from the annotations."""

    def unsaid(s, order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the mistake
        s.pivot("mail", m.MAIL)

    def number(s: Saga, order: int) -> str:
        s.pivot("mail", m.MAIL)
        return "x"

    with pytest.raises(DefinitionError, match="does not say what goes in"):
        define("t", version=1)(unsaid)
    with pytest.raises(DefinitionError, match=r"(?s)input: int is no .*result: str is no "):
        define("t", version=1)(number)


def test_a_placeholder_of_another_definition_is_refused() -> None:
    """Values do not travel between definitions, nor between builds of one."""
    leaked: list[Any] = []

    def first(s: Any, o: Any) -> None:
        leaked.append(o.email)
        s.read("quote", m.QUOTE)

    def second(s: Any, o: Any) -> None:
        s.pivot("mail", c.SendMail(to=leaked[0], subject="x"))

    def built(s: Saga, order: c.PlaceOrder) -> None:
        first(s, order)

    define("first", version=1)(built)
    assert refused(second) == [
        ("mail.to", "input.email belongs to another definition", "pass what it needs in the input")
    ]


def test_two_builds_that_differ_are_refused_where_they_differ() -> None:
    """A definition made with the clock or with chance would have a new hash in every process."""
    numbers = iter("ab")

    def body(s: Any, o: Any) -> None:
        s.pivot("mail", c.SendMail(to=next(numbers), subject="x"))

    [(place, reason, fix)] = refused(body)
    assert place.startswith("blocks.mail.command.body")
    assert "two builds differ" in reason
    assert "in the input" in fix


def test_what_is_known_without_a_reply_may_stand_for_it() -> None:
    """A value of the input names the effect as well as the reply does: no null is needed."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        s.step(
            "charge",
            m.CHARGE,
            undo=lambda r: m.StrictRefund(charge_id=r.charge_id),
            unknown=m.StrictRefund(charge_id=order.order_id),
        )

    step = define("t", version=1)(written).compiled.blocks[0]
    assert isinstance(step, Step)
    assert step.undo is not None
    assert step.undo_unknown is not None
    assert step.undo != step.undo_unknown
