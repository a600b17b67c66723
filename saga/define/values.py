"""Turns what an author wrote, placeholders and constants, into expressions, and finds what cannot work."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec

from saga.core.document import path_text
from saga.core.expression import Array, Expression, Object, ScalarType
from saga.define.blocks import covers
from saga.define.placeholder import (
    REPR_MARK,
    Placeholder,
    PlaceholderMisuse,
    is_path,
    references,
    show,
    source_of,
    type_text,
    value_of,
)
from saga.define.recorded import Findings, Site, literal, reference
from saga.define.shapes import (
    NO_DEFAULT,
    fits,
    is_struct,
    item_type,
    may_be_null,
    plain,
    scalar_type,
    struct_config,
    struct_fields,
)


@dataclass(eq=False)
class Values:
    """Makes expressions, and notes what it finds."""

    operation: Callable[["Values", Placeholder, Site], Expression]
    """Makes the expression of a word or a comparison."""
    found: Findings = field(default_factory=Findings)

    def bad(self, place: str, reason: str, fix: str) -> None:
        """Note a problem."""
        self.found.bad(place, reason, fix)

    def expression(self, value: object, expected: Any, site: Site) -> Expression:
        """The expression of a value that must be of the expected type."""
        if not isinstance(value, Placeholder):
            return self.constant(value, expected, site)
        kind = value_of(value).type
        if not fits(kind, expected):
            self.bad(
                site.place, f"{show(value)} is {type_text(kind)}, not {type_text(expected)}", "pass a value that is"
            )
        elif not site.guarded and not may_be_null(expected) and self.nullable(value, site):
            self.bad(site.place, f"{show(value)} may be null, but is needed here", _NULL_FIX)
        return self.placeholder(value, site)

    def placeholder(self, value: Placeholder, site: Site) -> Expression:
        """The expression of a placeholder, whatever its type."""
        if is_path(value) and value_of(value).op != "required":
            return reference(self.found, value, site)
        return self.operation(self, value, site)

    def nullable(self, value: object, site: Site) -> bool:
        """Whether it may turn out to be null. A choice is not, if one of its values is always there."""
        if not isinstance(value, Placeholder):
            return value is None
        inner = value_of(value)
        if inner.op != "coalesce":
            return inner.type not in (Any, object) and may_be_null(inner.type)
        homes = []
        for argument in inner.args:
            if self.nullable(argument, site):
                continue
            if not (isinstance(argument, Placeholder) and is_path(argument)):
                return False
            homes.append(self.found.homes.get(source_of(argument).path, site.scope))
        return not covers(homes, site.scope)

    def constant(self, value: object, expected: Any, site: Site) -> Expression:
        """The expression of a value written in the definition; placeholders may stand inside."""
        match value:
            case msgspec.Struct():
                return self._struct(value, expected, site)
            case dict():
                return self._dict(value, expected, site)
            case list() | tuple():
                self._check_container(value, expected, site)
                item = item_type(expected) if scalar_type(expected) is ScalarType.LIST else Any
                return Array(tuple(self.expression(x, item, site.at(f"[{i}]")) for i, x in enumerate(value)))
            case set() | frozenset():
                self.bad(site.place, "is a set, whose order differs from run to run", "write a list")
                return Array(())
            case _:
                return self._scalar(value, expected, site)

    def _struct(self, value: msgspec.Struct, expected: Any, site: Site) -> Expression:
        config = value.__struct_config__
        if not fits(type(value), expected):
            self.bad(site.place, f"is {type_text(type(value))}, not {type_text(expected)}", "pass a value that is")
        if config.array_like:
            self.bad(site.place, f"{type(value).__name__} is array_like", "definitions write objects: drop array_like")
        fields: dict[str, Expression] = {}
        if config.tag_field is not None:
            fields[config.tag_field] = literal(config.tag)
        for name, shape in struct_fields(type(value)).items():
            inner = getattr(value, name)
            if inner is not msgspec.UNSET:
                fields[shape.encode_name] = self.expression(inner, shape.type, site.at(f".{name}"))
        return Object(fields)

    def _dict(self, value: dict[object, object], expected: Any, site: Site) -> Expression:
        self._check_container(value, expected, site)
        kinds = self._kinds_of_keys(value, expected, site) if value and is_struct(plain(expected)) else {}
        item = item_type(expected) if not is_struct(plain(expected)) else Any
        fields: dict[str, Expression] = {}
        for key, inner in value.items():
            if isinstance(key, Placeholder):
                raise PlaceholderMisuse(show(key), "is used as the key of a dict", "keys are constants")
            if not isinstance(key, str):
                self.bad(site.place, f"the key {key!r} is no text", "keys of JSON objects are text")
            below = site.at(path_text("", (str(key),)))
            fields[str(key)] = self.expression(inner, kinds.get(str(key), item), below)
        return Object(fields)

    def _kinds_of_keys(self, value: dict[object, object], expected: Any, site: Site) -> dict[str, Any]:
        """What a Struct wants under each key of a dict that stands for it; the reader of it finds no more than that."""
        kind, config = type_text(expected), struct_config(expected)
        if config.array_like:
            self.bad(site.place, f"{kind} is array_like", "definitions write objects: drop array_like")
        shapes = {shape.encode_name: shape for shape in struct_fields(plain(expected)).values()}
        fix = f"its fields are {', '.join(shapes)}"
        for key in value:
            if key not in shapes and key != config.tag_field:
                self.bad(site.place, f"has the key {key!r}, which {kind} does not know", fix)
        for name, shape in shapes.items():
            if name not in value and shape.default is NO_DEFAULT:
                self.bad(site.place, f"has no {name!r}, which {kind} needs", fix)
        kinds = {name: shape.type for name, shape in shapes.items()}
        return kinds if config.tag_field is None else {**kinds, config.tag_field: Literal[config.tag]}

    def _check_container(self, value: object, expected: Any, site: Site) -> None:
        """Constraints of a whole list or dict can be looked at only when all of it is known."""
        wanted = ScalarType.OBJECT if isinstance(value, dict) else ScalarType.LIST
        if scalar_type(expected) not in (wanted, ScalarType.ANY):
            self.bad(site.place, f"is a {type(value).__name__}, not {type_text(expected)}", "pass a value that is")
        elif not any(references(value)) and not value:
            self._scalar(value, expected, site)

    def _scalar(self, value: object, expected: Any, site: Site) -> Expression:
        fix = "write a value the contract accepts"
        if isinstance(value, str) and REPR_MARK in value:
            self.bad(site.place, "a placeholder was turned into text by repr or !r", "write text('... {} ...', x)")
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            self.bad(site.place, f"{value!r} is no number of JSON", "write a finite number")
            return literal(None)
        kept = [name for name in getattr(value, "__dataclass_fields__", ()) if any(references(getattr(value, name)))]
        if kept and not isinstance(value, type):
            kind = type(value).__name__
            reason = f"the dataclass {kind} holds a value that only a run knows ({kept[0]})"
            self.bad(site.place, reason, f"make {kind} a msgspec.Struct, or write a dict")
            return literal(None)
        try:
            written = literal(value)
        except (TypeError, ValueError) as error:
            self.bad(site.place, f"{value!r} cannot be written as JSON: {error}", fix)
            return literal(None)
        try:
            msgspec.json.decode(written.json, type=expected)
        except (msgspec.ValidationError, TypeError) as error:
            self.bad(site.place, f"{value!r}: {error}", fix)
        return written


_NULL_FIX = "coalesce(x, default) or required(x), or let the contract accept None"
