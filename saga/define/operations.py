"""Turns the words and comparisons of a definition into typed operations over recorded values."""

from datetime import datetime
from typing import Any

from saga.core.expression import (
    AllOf,
    AnyOf,
    Array,
    Coalesce,
    Collect,
    Compare,
    Expression,
    Not,
    OneOf,
    Present,
    Required,
    ScalarType,
    Size,
    Text,
)
from saga.define.blocks import Visibility, eaches_between, visibility
from saga.define.placeholder import Placeholder, references, show, type_text, value_of
from saga.define.recorded import Site
from saga.define.shapes import is_number, may_be_null, members, plain, scalar_type
from saga.define.values import Values

_NOT_COMPARED = (ScalarType.OBJECT, ScalarType.LIST, ScalarType.ANY)
_SIZED = (ScalarType.OBJECT, ScalarType.LIST, ScalarType.STR)


def operation(values: Values, value: Placeholder, site: Site) -> Expression:  # noqa: C901 - one case for each word
    """The expression of a word or a comparison."""
    inner = value_of(value)
    guarded = Site(site.place, site.scope, guarded=True, input_only=site.input_only)
    plain_site = Site(site.place, site.scope, input_only=site.input_only)
    match inner.op:
        case "all_of" | "any_of":
            conditions = tuple(values.expression(argument, bool, plain_site) for argument in inner.args)
            return AllOf(conditions) if inner.op == "all_of" else AnyOf(conditions)
        case "not_":
            return Not(values.expression(inner.args[0], bool, plain_site))
        case "present":
            return Present(values.placeholder(inner.args[0], guarded))
        case "required":
            return Required(values.placeholder(inner.args[0], guarded))
        case "coalesce":
            return Coalesce(_choices(values, value, site, guarded))
        case "size":
            return Size(_sized(values, inner.args[0], plain_site))
        case "text":
            written = tuple(_written(values, argument, plain_site) for argument in inner.args[1:])
            return Text(inner.args[0], written)
        case "collect":
            return _collected(values, inner.args[0], plain_site)
        case "one_of":
            return _one_of(values, value, plain_site)
        case _:
            left, right = inner.args
            scalar = _comparable(values, left, right, plain_site)
            _check_order(values, inner.op, left, plain_site)
            return Compare(
                inner.op, scalar, _operand(values, left, right, plain_site), _operand(values, right, left, plain_site)
            )


def _choices(values: Values, value: Placeholder, site: Site, guarded: Site) -> tuple[Expression, ...]:
    """Choices of choices are one list of choices."""
    choices: list[Expression] = []
    for argument in value_of(value).args:
        if not isinstance(argument, Placeholder):
            choices.append(values.constant(argument, _default_of(value, argument), site))
        elif value_of(argument).op == "coalesce":
            choices += _choices(values, argument, site, guarded)
        else:
            choices.append(values.placeholder(argument, guarded))
    return tuple(choices)


def _default_of(value: Placeholder, constant: object) -> Any:
    """What a constant list or dict of a choice must hold, where all its values are of one type."""
    kinds = members(plain(value_of(value).type))
    return kinds[0] if len(kinds) == 1 and isinstance(constant, list | tuple | dict) else Any


def _collected(values: Values, value: Placeholder, site: Site) -> Expression:
    """One value of every item of the outermost `each` that is over here; a list of lists is collected twice."""
    homes = [values.found.homes.get(source.path) for source, _, _ in references(value)]
    bodies = [between[0] for home in homes if home and (between := eaches_between(home, site.scope))]
    body = bodies[0] if bodies else None
    if body is None or body.fork is None or body.parent is None:
        reason = f"collects {show(value)}, which is no value of the items of an s.each block that is over"
        values.bad(site.place, reason, "collect a reply of a step inside the block, behind it")
        return Array(())
    seen, around = visibility(body.parent, site.scope)
    if seen is not Visibility.SURE and around is not None:
        reason = f"collects {show(value)}, but '{body.fork.path}' stands in '{around.path}', which may have gone"
        values.bad(site.place, f"{reason} another way", "collect it inside the same block")
    return Collect(body.fork.path, values.placeholder(value, Site(site.place, body)))


def _sized(values: Values, argument: Placeholder, site: Site) -> Expression:
    kind = value_of(argument).type
    if _is_base64(kind):
        reason = f"{show(argument)} is bytes, recorded as base64: its size would be that of the text"
        values.bad(site.place, reason, "let its sender say its size, or ask a participant")
    elif scalar_type(kind) not in _SIZED:
        values.bad(site.place, f"{show(argument)} is {type_text(kind)}, which has no size", "size(a list or a text)")
    return values.expression(argument, kind if not may_be_null(kind) else plain(kind), site)


def _written(values: Values, argument: object, site: Site) -> Expression:
    kind = _type_of(argument)
    if _compared_as(kind) in _NOT_COMPARED:
        values.bad(site.place, f"{show(argument)} is {type_text(kind)}, which has no text", "write its fields")
    return values.expression(argument, plain(kind), site)


def _one_of(values: Values, value: Placeholder, site: Site) -> Expression:
    subject, *options = value_of(value).args
    scalars = {_comparable(values, subject, option, site) for option in options}
    scalar = scalars.pop() if len(scalars) == 1 else ScalarType.DECIMAL  # several can only be kinds of numbers
    written = tuple(_operand(values, option, subject, site) for option in options)
    return OneOf(scalar, _operand(values, subject, options[0], site), written)


def _comparable(values: Values, left: object, right: object, site: Site) -> ScalarType:
    """The type in which two values are compared."""
    first, second = _compared_as(_type_of(left)), _compared_as(_type_of(right))
    if is_number(first) and is_number(second):
        return first if first is second else ScalarType.DECIMAL
    if first is not second or first in _NOT_COMPARED:
        kinds = f"{type_text(_type_of(left))} is compared with {type_text(_type_of(right))}"
        values.bad(site.place, f"{show(left)}, {show(right)}: {kinds}", "compare scalars of one type")
    return first


def _check_order(values: Values, op: str, left: object, site: Site) -> None:
    if op not in ("eq", "ne") and _is_base64(_type_of(left)):
        reason = f"{show(left)} is bytes, recorded as base64, which has another order"
        values.bad(site.place, reason, "compare with == or !=, or ask a participant")


def _is_base64(kind: Any) -> bool:
    return bytes in members(kind)


def _compared_as(kind: Any) -> ScalarType:
    """Several kinds of numbers, as in coalesce(price, 0), are read as decimals."""
    kinds = {scalar_type(member) for member in members(plain(kind))}
    return ScalarType.DECIMAL if len(kinds) > 1 and all(map(is_number, kinds)) else scalar_type(kind)


def _operand(values: Values, operand: object, other: object, site: Site) -> Expression:
    if isinstance(operand, datetime) and operand.tzinfo is None:
        values.bad(site.place, f"{operand!r} has no time zone", "datetime(..., tzinfo=UTC)")
    expected: Any = plain(_type_of(operand))
    if not isinstance(operand, Placeholder) and not is_number(scalar_type(expected)):
        expected = plain(_type_of(other))  # a member of the other side's enum
        expected = Any if scalar_type(expected) is not scalar_type(_type_of(operand)) else expected
    return values.expression(operand, expected, site)


def _type_of(value: object) -> Any:
    return value_of(value).type if isinstance(value, Placeholder) else type(value)
