"""Typed references and conditions over recorded JSON.

A value that is only passed on is spliced as the raw bytes it arrived in, never decoded and written again: numbers keep
every digit. Values that are compared carry their type in the expression, and decimals are compared as decimals.
There is no arithmetic and no string building but `text`: both belong in a participant.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec


class ScalarType(StrEnum):
    """How a recorded value is to be read when it is looked into."""

    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    STR = "str"
    INSTANT = "instant"
    DURATION = "duration"
    OBJECT = "object"
    LIST = "list"
    ANY = "any"


class Ref(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="ref"):
    """`["ref", "charge", ["lines", 0, "sku"], "str"]`: a place in the input (`input`) or in a step's reply."""

    source: str
    """`input`, or the path of a step."""
    fields: tuple[str | int, ...]
    type: ScalarType


class Literal(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="value"):
    """`["value", <json>]`: written in the definition."""

    json: msgspec.Raw


class Object(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="object"):
    """`["object", {"field": expression}]`."""

    fields: dict[str, "Expression"]


class Array(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="list"):
    """`["list", [expression, ...]]`."""

    items: tuple["Expression", ...]


class Compare(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="compare"):
    """`["compare", "gt", "decimal", left, right]`."""

    operator: str
    """One of eq ne lt le gt ge."""
    type: ScalarType
    left: "Expression"
    right: "Expression"


class OneOf(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="one_of"):
    """`["one_of", "str", value, [option, ...]]`."""

    type: ScalarType
    value: "Expression"
    options: tuple["Expression", ...]


class AllOf(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="all_of"):
    """Every condition holds; looked at in order, stopping at the first that does not."""

    conditions: tuple["Expression", ...]


class AnyOf(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="any_of"):
    """At least one condition holds; looked at in order, stopping at the first."""

    conditions: tuple["Expression", ...]


class Not(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="not"):
    """The condition does not hold."""

    condition: "Expression"


class Present(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="present"):
    """The value exists and is not null."""

    value: "Expression"


class Size(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="size"):
    """Length of a list, of an object, or of a string in characters."""

    value: "Expression"


class Coalesce(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="coalesce"):
    """The first value that exists and is not null; null when there is none."""

    values: tuple["Expression", ...]


class Required(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="required"):
    """The value, which must exist and not be null."""

    value: "Expression"


class Text(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="text"):
    """`["text", "Order {} for {}", [value, ...]]`; `{{` and `}}` are braces."""

    template: str
    values: tuple["Expression", ...]


class Collect(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag="collect"):
    """`["collect", "seats", value]`: the list of one value of every item of an `each` block, in order."""

    each: str
    """Path of the block."""
    value: "Expression"


Expression = (
    Ref
    | Literal
    | Object
    | Array
    | Compare
    | OneOf
    | AllOf
    | AnyOf
    | Not
    | Present
    | Size
    | Coalesce
    | Required
    | Text
    | Collect
)

JSON_NULL = b"null"
EXPRESSION_DEPTH_MAX = 64
Sources = Mapping[str, bytes]
"""Recorded JSON by source: `input`, and the reply of each step that has one."""


@runtime_checkable
class Places(Protocol):
    """Sources that know the items of `each` blocks."""

    def inside(self, each: str) -> Sequence[Sources]:
        """What is read from inside each item of the block at this path, in order."""
        ...


class EvaluationError(ValueError):
    """A recorded value is missing or is not of the type the definition reads; the step parks, naming the place."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}")
