"""Expressions over recorded JSON: what is passed on keeps its bytes, what is compared is compared as what it is."""

import msgspec
import pytest

from saga.core.evaluation import holds, place_of, render, text_parts
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

BODY = (
    b'{"total": 100.10, "big": 12345678901234567890.10, "exp": 1e5, "note": "a\\u0041\\n\\"b\\"", "none": null,'
    b' "lines": [{"sku": "x", "n": 2}, {"sku": "y"}], "price": "1200.00", "gift": true,'
    b' "at": "2024-05-01T10:00:00+02:00", "took": "PT90S", "odd name": 1, "ratio": 0.1, "empty": {}}'
)
SOURCES = {"input": BODY, "charge": b' {"charge_id": "c-1"} '}


def ref(path: str, kind: ScalarType = ScalarType.ANY, source: str = "input") -> Ref:
    """`lines.0.sku`: numbers are indexes."""
    fields = tuple(int(part) if part.isdecimal() else part for part in path.split(".")) if path else ()
    return Ref(source, fields, kind)


def value(constant: object) -> Literal:
    """A constant."""
    return Literal(msgspec.Raw(msgspec.json.encode(constant)))


def compare(operator: str, kind: ScalarType, left: Expression, right: Expression) -> Compare:
    """Reads better."""
    return Compare(operator, kind, left, right)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("total", b"100.10"),
        ("big", b"12345678901234567890.10"),
        ("exp", b"1e5"),
        ("note", b'"a\\u0041\\n\\"b\\""'),
        ("none", b"null"),
        ("lines", b'[{"sku": "x", "n": 2}, {"sku": "y"}]'),
        ("lines.1.sku", b'"y"'),
        ("odd name", b"1"),
        ("", BODY),
    ],
)
def test_what_is_passed_on_keeps_its_bytes(path: str, raw: bytes) -> None:
    """No number is rounded, no string is escaped anew, no space is moved."""
    assert render(ref(path), SOURCES) == raw
    assert render(Object({"x": Array((ref(path), value(1)))}), SOURCES) == b'{"x":[' + raw + b",1]}"


def test_a_whole_reply_is_passed_on_without_the_space_around_it() -> None:
    """Space outside of the value is no part of it."""
    assert render(ref("", source="charge"), SOURCES) == b'{"charge_id": "c-1"}'


@pytest.mark.parametrize(
    ("kind", "operator", "path", "other", "truth"),
    [
        (ScalarType.DECIMAL, "gt", "price", 900, True),  # as text "1200.00" < "900"
        (ScalarType.DECIMAL, "eq", "total", "100.1", True),
        (ScalarType.DECIMAL, "lt", "big", "12345678901234567890.11", True),  # equal as floats
        (ScalarType.DECIMAL, "eq", "exp", 100000, True),
        (ScalarType.FLOAT, "eq", "ratio", 0.1, True),
        (ScalarType.INT, "ge", "lines.0.n", 2, True),
        (ScalarType.INT, "ne", "lines.0.n", 2, False),
        (ScalarType.STR, "le", "lines.0.sku", "x", True),
        (ScalarType.BOOL, "eq", "gift", True, True),
        (ScalarType.INSTANT, "eq", "at", "2024-05-01T08:00:00Z", True),
        (ScalarType.INSTANT, "lt", "at", "2024-05-01T09:00:00Z", True),  # as text it is later
        (ScalarType.DURATION, "gt", "took", "PT1M", True),
    ],
)
def test_values_are_compared_as_what_they_are(
    kind: ScalarType, operator: str, path: str, other: object, truth: bool
) -> None:
    """Decimals by value, instants by the moment they name, never as floats or as text."""
    assert holds(compare(operator, kind, ref(path), value(other)), SOURCES) is truth


def test_one_of_compares_by_type() -> None:
    """1.0 is one of 1 and 2, as decimals are."""
    assert holds(OneOf(ScalarType.DECIMAL, value(1.0), (value(2), value("1.00"))), {})
    assert not holds(OneOf(ScalarType.STR, ref("lines.0.sku"), (value("y"),)), SOURCES)


def test_conditions_are_looked_at_in_order_and_no_further_than_needed() -> None:
    """`present(x) and x > 1` is safe for a missing x."""
    missing = ref("nowhere", ScalarType.INT)
    guard = AllOf((Present(missing), compare("gt", ScalarType.INT, missing, value(1))))
    assert not holds(guard, SOURCES)
    assert holds(AnyOf((ref("gift"), missing)), SOURCES)
    assert holds(Not(guard), SOURCES)


@pytest.mark.parametrize(
    ("looked_at", "there"),
    [
        (ref("none"), False),
        (ref("nowhere"), False),
        (ref("none.below"), False),
        (ref("lines.7.sku"), False),
        (ref("charge_id", source="skipped"), False),
        (ref("charge_id", source="charge"), True),
        (ref("empty"), True),
        (value(None), False),
        (Coalesce((ref("none"), ref("gift"))), True),
    ],
)
def test_null_missing_and_a_step_without_a_reply_are_absent(looked_at: Expression, there: bool) -> None:
    """`present` and `coalesce` take all three for nothing, and nothing else."""
    assert holds(Present(looked_at), SOURCES) is there
    chosen = render(Coalesce((looked_at, value("else"))), SOURCES)
    assert (chosen == b'"else"') is not there


def test_coalesce_of_nothing_is_null() -> None:
    """A choice without a last resort writes null."""
    assert render(Coalesce((ref("none"),)), SOURCES) == b"null"


def test_required_gives_the_value_or_names_the_place() -> None:
    """What must be there stops the step, not the reader of a null."""
    assert render(Required(ref("total")), SOURCES) == b"100.10"
    with pytest.raises(EvaluationError, match=r"input\.none: is required"):
        render(Required(ref("none")), SOURCES)


def test_size_counts_items_fields_and_characters() -> None:
    """Characters, not bytes and not escapes."""
    sizes = [render(Size(ref(path)), SOURCES) for path in ("lines", "lines.0", "note", "empty")]
    assert sizes == [b"2", b"2", b"6", b"0"]
    assert render(Size(Array((value(1),))), {}) == b"1"


def test_text_writes_numbers_as_they_were_recorded() -> None:
    """`{{` is a brace, strings are unescaped, numbers keep their digits."""
    template = Text("{{{}}} {} {} {}", (ref("note"), ref("big"), ref("gift"), ref("at")))
    assert msgspec.json.decode(render(template, SOURCES)) == (
        '{aA\n"b"} 12345678901234567890.10 true 2024-05-01T10:00:00+02:00'
    )


@pytest.mark.parametrize("template", ["{", "}", "{0}", "{x}", "a } b"])
def test_a_template_with_a_loose_brace_is_refused(template: str) -> None:
    """Only `{}` is a place."""
    with pytest.raises(EvaluationError, match="text: "):
        text_parts(template)


@pytest.mark.parametrize(
    ("expression", "place", "reason"),
    [
        (ref("nowhere"), "input.nowhere", "is missing"),
        (ref("none.below"), "input.none", "is null"),
        (ref("total.cents"), "input.total", "an object is read here, but it is a number"),
        (ref("lines.sku"), "input.lines", "an object is read here, but it is a list"),
        (ref("empty.0"), "input.empty", "a list is read here, but it is an object"),
        (ref("lines.9"), "input.lines[9]", "is missing"),
        (ref("id", source="skipped"), "skipped.id", "skipped has no value here"),
        (compare("gt", ScalarType.INT, ref("total"), value(1)), "input.total", "int is read here"),
        (compare("gt", ScalarType.DECIMAL, ref("note"), value(1)), "input.note", "decimal is read here"),
        (compare("gt", ScalarType.DECIMAL, value("NaN"), value(1)), "value", "decimal is read here"),
        (compare("eq", ScalarType.FLOAT, ref("price"), value(1)), "input.price", "float is read here"),
        (compare("eq", ScalarType.STR, ref("none"), value("")), "input.none", "str is read here, but it is null"),
        (compare("eq", ScalarType.INSTANT, value("2024-01-01T00:00:00"), ref("at")), "value", "timezone"),
        (compare("eq", ScalarType.OBJECT, ref("empty"), ref("empty")), "input.empty", "object is read here"),
        (compare("??", ScalarType.INT, value(1), value(1)), "compare", "'??' is not known"),
        (Not(ref("total")), "input.total", "bool is read here, but it is a number"),
        (Size(ref("total")), "input.total", "a number has no size"),
        (Text("{}", (ref("lines"),)), "input.lines", "a list cannot be written into a text"),
        (Text("{}", (ref("none"),)), "input.none", "null cannot be written"),
        (Text("{}", ()), "text", "1 places for 0 values"),
    ],
)
def test_what_cannot_be_made_names_the_place(expression: Expression, place: str, reason: str) -> None:
    """The step parks with a path an operator can look at."""
    with pytest.raises(EvaluationError) as failure:
        render(expression, SOURCES)
    assert failure.value.place == place
    assert reason in failure.value.reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":1}\x00',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xff":1}',
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"\\ud800"}',
    ],
)
def test_hostile_bytes_are_an_evaluation_error(body: bytes) -> None:
    """Nothing but EvaluationError escapes, and nothing that is no JSON is passed on."""
    for expression in (ref(""), ref("a"), Size(ref("a"))):
        with pytest.raises(EvaluationError):
            render(expression, {"input": body})


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (ScalarType.INT, b"9" * 5_000),
        (ScalarType.DECIMAL, b'"1e99999999999999999999"'),
        (ScalarType.DECIMAL, b'"Infinity"'),
        (ScalarType.DURATION, b'"P99999999999D"'),
        (ScalarType.INSTANT, b'"2024-13-01T00:00:00Z"'),
    ],
)
def test_values_beyond_reason_are_an_evaluation_error(kind: ScalarType, raw: bytes) -> None:
    """Numbers, spans and dates that Python cannot hold are not compared."""
    with pytest.raises(EvaluationError):
        holds(compare("eq", kind, ref("a"), ref("a")), {"input": b'{"a":' + raw + b"}"})


def test_extreme_values_that_can_be_compared_are() -> None:
    """The first instant with an offset, an exponent of a million, an int beyond 64 bits."""
    body = b'{"at":"0001-01-01T00:00:00+14:00","exp":1e999999,"int":' + b"9" * 300 + b"}"
    assert holds(compare("lt", ScalarType.INSTANT, ref("at"), value("2024-01-01T00:00:00Z")), {"input": body})
    assert holds(compare("gt", ScalarType.DECIMAL, ref("exp"), ref("int")), {"input": body})
    assert holds(compare("gt", ScalarType.INT, ref("int"), value(2**64)), {"input": body})


def test_an_expression_nested_too_deeply_is_an_evaluation_error() -> None:
    """A definition from a store cannot take the orchestrator down."""
    expression: Expression = ref("gift")
    for _ in range(5_000):
        expression = Not(expression)
    with pytest.raises(EvaluationError):
        holds(expression, SOURCES)


def test_place_names_what_is_read() -> None:
    """Errors point at data, or at the operation when there is none."""
    assert place_of(Required(Coalesce((ref("lines.0.odd name"), value(1))))) == 'input.lines[0]["odd name"]'
    assert place_of(AllOf(())) == "all_of"
