"""Laws of expressions: bytes that are passed on never change, nothing but EvaluationError escapes, logic is logic."""

import contextlib
import json
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from saga.core.evaluation import check_reads, holds, render
from saga.core.expression import (
    AllOf,
    AnyOf,
    Array,
    Coalesce,
    Compare,
    EvaluationError,
    Expression,
    Literal,
    Not,
    Object,
    OneOf,
    Present,
    Ref,
    Required,
    ScalarType,
    Size,
    Text,
)

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
STRINGS = st.builds(json.dumps, st.text(st.characters(exclude_categories=["Cs"])), ensure_ascii=st.booleans())
SPACE = st.sampled_from(["", " ", "\n", "\t "])
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


def joined(parts: list[str], space: str, ends: str) -> str:
    """A list or an object, with odd spaces inside."""
    return f"{ends[0]}{space}{f'{space},{space}'.join(parts)}{space}{ends[1]}"


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lists and objects of what is inside."""
    pairs = st.dictionaries(KEYS, inner, max_size=3).map(lambda d: [f"{json.dumps(k)} : {v}" for k, v in d.items()])
    return st.one_of(
        st.builds(joined, st.lists(inner, max_size=3), SPACE, st.just("[]")),
        st.builds(joined, pairs, SPACE, st.just("{}")),
    )


JSON = st.recursive(st.one_of(NUMBERS, STRINGS, st.sampled_from(["true", "false", "null"])), lists, max_leaves=8)
SCALAR_TYPES = st.sampled_from(list(ScalarType))
FIELDS = st.lists(st.one_of(st.sampled_from(["a", "b", ""]), st.integers(0, 3)), max_size=3).map(tuple)
REFS = st.builds(Ref, st.sampled_from(["input", "step"]), FIELDS, SCALAR_TYPES)
LITERALS = JSON.map(lambda raw: Literal(msgspec.Raw(raw.encode())))


def operations(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Every operation, over anything: also what no definition would say."""
    several = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Object, st.dictionaries(KEYS, inner, max_size=3)),
        st.builds(Array, several),
        st.builds(Compare, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "x"]), SCALAR_TYPES, inner, inner),
        st.builds(OneOf, SCALAR_TYPES, inner, several),
        st.builds(AllOf, several),
        st.builds(AnyOf, several),
        st.builds(Not, inner),
        st.builds(Present, inner),
        st.builds(Size, inner),
        st.builds(Coalesce, several),
        st.builds(Required, inner),
        st.builds(Text, st.sampled_from(["", "{}", "{} {}", "{{", "{"]), several),
    )


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(st.one_of(REFS, LITERALS), operations, max_leaves=6)


@given(JSON)
def test_a_value_passed_on_is_the_bytes_it_arrived_as(raw: str) -> None:
    """At the top, in a field, in a list, and through a choice."""
    body = f' {{"a": [0, {raw}], "b" : {raw} }}'.encode()
    for place in (Ref("input", ("b",), ScalarType.ANY), Ref("input", ("a", 1), ScalarType.ANY)):
        assert render(place, {"input": body}) == raw.encode()
        assert render(Object({"x": place}), {"input": body}) == b'{"x":' + raw.encode() + b"}"
        assert render(Coalesce((place,)), {"input": body}) == raw.encode()


@settings(max_examples=300)
@given(EXPRESSIONS, st.one_of(JSON.map(str.encode), st.binary(max_size=30)), st.one_of(JSON.map(str.encode)))
def test_nothing_but_an_evaluation_error_escapes(expression: Expression, body: bytes, reply: bytes) -> None:
    """Whatever arrived and whatever the definition says; what is made is JSON."""
    sources = {"input": body, "step": reply}
    with contextlib.suppress(EvaluationError):
        msgspec.json.decode(render(expression, sources), type=msgspec.Raw)
    with contextlib.suppress(EvaluationError):
        assert holds(expression, sources) in (True, False)


@given(st.decimals(allow_nan=False, allow_infinity=False), NUMBERS)
def test_numbers_compare_as_decimals(left: Decimal, right: str) -> None:
    """A Decimal in a string and a number of JSON, with all their digits."""
    body = f'{{"l": "{left}", "r": {right}}}'.encode()
    sides = (Ref("input", ("l",), ScalarType.DECIMAL), Ref("input", ("r",), ScalarType.DECIMAL))
    for operator, truth in (
        ("lt", left < Decimal(right)),
        ("eq", left == Decimal(right)),
        ("ge", left >= Decimal(right)),
    ):
        assert holds(Compare(operator, ScalarType.DECIMAL, *sides), {"input": body}) is truth


@given(st.lists(st.booleans(), max_size=4))
def test_conditions_follow_logic(values: list[bool]) -> None:
    """De Morgan, and the empty cases."""
    conditions = tuple(Literal(msgspec.Raw(json.dumps(value).encode())) for value in values)
    negated = tuple(Not(condition) for condition in conditions)
    assert holds(AllOf(conditions), {}) is all(values)
    assert holds(Not(AnyOf(conditions)), {}) is holds(AllOf(negated), {})


@given(JSON, SCALAR_TYPES, st.sampled_from(["", "?", "=", "?="]))
def test_a_body_that_was_accepted_can_be_read(raw: str, kind: ScalarType, marks: str) -> None:
    """What `check_reads` lets pass does not surprise a later step, and only marks let null pass."""
    body = f'{{"a": {raw}}}'.encode()
    place = Ref("input", ("a",), kind)
    if check_reads({"input.a": f"{kind}{marks}"}, "input", body) is not None:
        return
    assert raw != "null" or "?" in marks or kind is ScalarType.ANY
    if raw != "null" and kind not in (ScalarType.OBJECT, ScalarType.LIST, ScalarType.ANY):
        assert holds(Compare("eq", kind, place, place), {"input": body})


@given(st.binary(max_size=40), st.text(max_size=12), st.text(max_size=8))
def test_a_check_is_an_answer_whatever_arrives(body: bytes, path: str, kind: str) -> None:
    """Also for entries that no definition has."""
    for reads in ({path: kind}, {"input.a": "str"}, {"input": "any"}):
        error = check_reads(reads, "input", body)
        assert error is None or error.reason
