"""What the types of contracts say about JSON: scalar types, fields, defaults, null, and what fits where."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from typing_extensions import TypeAliasType, is_typeddict

from saga.core.expression import ScalarType

_SCALARS: dict[object, ScalarType] = {
    bool: ScalarType.BOOL,
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    Decimal: ScalarType.DECIMAL,
    str: ScalarType.STR,
    datetime: ScalarType.INSTANT,
    timedelta: ScalarType.DURATION,
    # What msgspec writes as a string and a definition can only compare as one.
    date: ScalarType.STR,
    time: ScalarType.STR,
    UUID: ScalarType.STR,
    bytes: ScalarType.STR,
}
_NUMBERS = (ScalarType.INT, ScalarType.FLOAT, ScalarType.DECIMAL)
_NOTHING = (NoneType, msgspec.UnsetType)
NO_DEFAULT = msgspec.NODEFAULT


def members(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union, null among them; a type that is none is its only member."""
    kind = _unwrapped(kind)
    if get_origin(kind) in (Union, UnionType):
        return tuple(inner for member in get_args(kind) for inner in members(member))
    return (kind,)


def plain(kind: Any) -> Any:
    """The type without annotations and without null."""
    rest = tuple(member for member in members(kind) if member is not NoneType)
    return rest[0] if len(rest) == 1 else Union[rest] if rest else NoneType  # noqa: UP007 - made at run time


def may_be_null(kind: Any) -> bool:
    """Whether null is among its values. An untyped value may always be null."""
    return any(member is NoneType or member is Any or member is object for member in members(kind))


def is_struct(kind: Any) -> bool:
    """A msgspec.Struct, or a generic one with its parameters."""
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, msgspec.Struct)


def scalar_type(kind: Any) -> ScalarType:
    """How a recorded value of this type is read when it is looked into."""
    kind = plain(kind)
    origin = get_origin(kind) or kind
    if origin is Literal:
        return _shared({scalar_type(type(value)) for value in get_args(kind)})
    if origin in (Union, UnionType):
        return _shared({scalar_type(member) for member in members(kind)})
    if origin in _SCALARS:
        return _SCALARS[origin]
    if not isinstance(origin, type):
        return ScalarType.ANY
    if issubclass(origin, Enum):
        return _shared({scalar_type(type(member.value)) for member in origin})
    return _container(origin)


def _container(origin: type) -> ScalarType:
    """Subclasses of scalars (a StrEnum, a named str) before containers: a str is a Sequence too."""
    for scalar in (str, int, float):
        if issubclass(origin, scalar):
            return _SCALARS[scalar]
    if (
        is_struct(origin)
        or issubclass(origin, Mapping)
        or is_typeddict(origin)
        or hasattr(origin, "__dataclass_fields__")
    ):
        return ScalarType.OBJECT
    return ScalarType.LIST if issubclass(origin, Sequence | set | frozenset) else ScalarType.ANY


def _shared(found: set[ScalarType]) -> ScalarType:
    return found.pop() if len(found) == 1 else ScalarType.ANY


def is_number(scalar: ScalarType) -> bool:
    """Numbers compare with each other."""
    return scalar in _NUMBERS


def item_type(kind: Any) -> Any:
    """Of a list, or of the values of a dict; Any when it does not say, or says it place by place."""
    kind = plain(kind)
    shape = scalar_type(kind)
    if get_origin(kind) in (Union, UnionType) and shape in (ScalarType.LIST, ScalarType.OBJECT):
        return Union[tuple(item_type(member) for member in members(kind))]  # noqa: UP007 - made at run time
    arguments = get_args(kind)
    if get_origin(kind) is tuple and arguments[-1:] != (...,):
        return Any
    return arguments[-1 if shape is ScalarType.OBJECT else 0] if arguments else Any


def struct_config(kind: Any) -> Any:
    """How a Struct is written: array_like, its tag."""
    kind = plain(kind)
    return (get_origin(kind) or kind).__struct_config__


class Field(msgspec.Struct, frozen=True):
    """A field of a contract's Struct."""

    name: str
    encode_name: str
    type: Any
    default: Any
    """The value a reader takes when the field is missing, or NO_DEFAULT."""


def struct_fields(kind: Any) -> dict[str, Field]:
    """Fields by their Python name."""
    return {
        field.name: Field(field.name, field.encode_name, field.type, _default(field))
        for field in msgspec.structs.fields(kind)
    }


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def fits(kind: Any, expected: Any) -> bool:
    """Whether every value of a type, null and UNSET aside, is one of the expected type. What is unknown fits."""
    given, wanted = ([one for one in members(either) if one not in _NOTHING] for either in (kind, expected))
    return all(any(_member_fits(member, one) for one in wanted) for member in given)


def _member_fits(kind: Any, expected: Any) -> bool:
    if expected in (Any, object) or kind in (Any, object) or isinstance(expected, TypeVar) or isinstance(kind, TypeVar):
        return True
    origin, wanted = get_origin(kind) or kind, get_origin(expected) or expected
    if wanted is Literal or origin is Literal:
        return scalar_type(kind) is scalar_type(expected)
    if not (isinstance(origin, type) and isinstance(wanted, type)):
        return scalar_type(kind) is scalar_type(expected)
    if scalar_type(kind) is ScalarType.INT and wanted in (float, Decimal):
        return True
    if origin is bool and wanted is not bool:
        return False
    if not issubclass(origin, wanted):
        return False
    return not get_args(kind) or not get_args(expected) or fits(item_type(kind), item_type(expected))


def _unwrapped(kind: Any) -> Any:
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif isinstance(kind, TypeAliasType):
            kind = kind.__value__
        else:
            return kind
