"""Turns what an author wrote, placeholders and constants, into expressions, and finds what cannot work."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from saga.core.document import path_text
from saga.core.errors import Problem
from saga.core.expression import Array, Coalesce, Expression, Literal, Object, Ref, ScalarType
from saga.core.reads import MAY_BE_MISSING, MAY_BE_NULL
from saga.define.blocks import Scope, Visibility, covers, visibility
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
from saga.define.shapes import NO_DEFAULT, fits, is_struct, item_type, may_be_null, plain, scalar_type, struct_fields

INPUT = "input"


@dataclass(frozen=True)
class Site:
    """Where a value is written."""

    place: str
    scope: Scope
    guarded: bool = False
    """Inside a word that handles absence."""
    input_only: bool = False
    """Made when the saga starts: there are no replies yet."""

    def at(self, suffix: str) -> "Site":
        return replace(self, place=self.place + suffix)


@dataclass(eq=False)
class Values:
    """What one build found: the paths it reads, and the problems. Its identity is that of the build."""

    operation: Callable[["Values", Placeholder, Site], Expression]
    """Makes the expression of a word or a comparison."""
    homes: dict[str, Scope] = field(default_factory=dict)
    """Where each step stands."""
    reads: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def bad(self, place: str, reason: str, fix: str) -> None:
        """Note a problem, once."""
        problem = Problem(place, reason, fix)
        if problem not in self.problems:
            self.problems.append(problem)

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
            return self._reference(value, site)
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
            homes.append(self.homes.get(source_of(argument).path, site.scope))
        return not covers(homes, site.scope)

    # ------------------------------------------------------------------------------------------------- references

    def _reference(self, value: Placeholder, site: Site) -> Expression:
        source = source_of(value)
        if source.build is not self:
            self.bad(site.place, f"{show(value)} belongs to another definition", "pass what it needs in the input")
        else:
            self._check_visible(source.path, show(value), site)
        chain = self._chain(value, site)
        keys: tuple[str | int, ...] = tuple(_key(node) for node in chain[1:])
        self._register(source.path, chain, keys)
        reference = Ref(source.path, keys, scalar_type(value_of(value).type))
        default = self._default(chain, value, site)
        if default is NO_DEFAULT or (default is None and site.guarded):
            return reference
        return Coalesce((reference,) if default is None else (reference, _literal(default)))

    def _check_visible(self, path: str, written: str, site: Site) -> None:
        if path == INPUT:
            return
        home = self.homes.get(path)
        if site.input_only or home is None:
            reason = "which is not there when the saga starts" if site.input_only else "which is not known here"
            self.bad(site.place, f"reads {written}, {reason}", "read a field of the input")
            return
        seen, fork = visibility(home, site.scope)
        if seen is Visibility.NEVER:
            self.bad(
                site.place,
                f"reads {written}, which is never there: '{path}' stands in the other arm of '{fork}'",
                "read a reply of this arm, or move this behind the block and use coalesce(...)",
            )
        elif seen is Visibility.MAYBE and not site.guarded:
            self.bad(
                site.place,
                f"reads {written}, which is absent when '{fork}' did not do '{path}'",
                "coalesce(x, default), or move this into the same block",
            )

    def _chain(self, value: Placeholder, site: Site) -> list[Placeholder]:
        """Source, field, field, ...; looks that nothing is read through a value that may be null."""
        chain: list[Placeholder] = []
        node, is_required = value, False
        while True:
            inner = value_of(node)
            if inner.op == "required":
                node, is_required = inner.args[0], True
                continue
            if chain and may_be_null(inner.type) and inner.type is not Any and not (is_required or site.guarded):
                fix = f"required({show(node)}){show(chain[0]).removeprefix(show(node))}, or coalesce(...)"
                self.bad(site.place, f"reads {show(chain[0])}, but {show(node)} may be null", fix)
            chain.insert(0, node)
            if inner.op == "source":
                return chain
            node, is_required = inner.args[0], False

    def _register(self, source: str, chain: list[Placeholder], keys: tuple[str | int, ...]) -> None:
        for depth, node in enumerate(chain):
            inner = value_of(node)
            missing = inner.op == "item" or (inner.op == "field" and inner.args[1].default is not NO_DEFAULT)
            null = inner.op != "source" and inner.type is not Any and may_be_null(inner.type)
            marks = MAY_BE_NULL * null + MAY_BE_MISSING * missing
            if marks or depth == len(keys):
                self.reads[path_text(source, keys[:depth])] = scalar_type(inner.type) + marks

    def _default(self, chain: list[Placeholder], value: Placeholder, site: Site) -> Any:
        """What stands for the value when the field, or one above it, is missing; NO_DEFAULT if nothing does."""
        found: list[Any] = []
        for depth, node in enumerate(chain):
            inner = value_of(node)
            if inner.op == "field" and inner.args[1].default is not NO_DEFAULT:
                default = inner.args[1].default
                for below in chain[depth + 1 :]:
                    attribute = value_of(below)
                    default = getattr(default, attribute.args[1].name, None) if attribute.op == "field" else None
                if default is not None or depth == len(chain) - 1:
                    found.append(default)
        if not found:
            return NO_DEFAULT
        if any(other != found[0] for other in found) or (found[0] is not None and may_be_null(value_of(value).type)):
            self.bad(
                site.place,
                f"reads {show(value)}, whose contract gives one meaning to null and another to a missing field",
                "make the field non-null or its default None in the contract",
            )
        return found[-1]

    # -------------------------------------------------------------------------------------------------- constants

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
            fields[config.tag_field] = _literal(config.tag)
        for name, shape in struct_fields(type(value)).items():
            inner = getattr(value, name)
            if inner is not msgspec.UNSET:
                fields[shape.encode_name] = self.expression(inner, shape.type, site.at(f".{name}"))
        return Object(fields)

    def _dict(self, value: dict[object, object], expected: Any, site: Site) -> Expression:
        self._check_container(value, expected, site)
        item = item_type(expected) if not is_struct(plain(expected)) else Any
        fields: dict[str, Expression] = {}
        for key, inner in value.items():
            if isinstance(key, Placeholder):
                raise PlaceholderMisuse(show(key), "is used as the key of a dict", "keys are constants")
            if not isinstance(key, str):
                self.bad(site.place, f"the key {key!r} is no text", "keys of JSON objects are text")
            fields[str(key)] = self.expression(inner, item, site.at(path_text("", (str(key),))))
        return Object(fields)

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
            return _literal(None)
        try:
            written = _literal(value)
        except (TypeError, ValueError) as error:
            self.bad(site.place, f"{value!r} cannot be written as JSON: {error}", fix)
            return _literal(None)
        try:
            msgspec.json.decode(written.json, type=expected)
        except (msgspec.ValidationError, TypeError) as error:
            self.bad(site.place, f"{value!r}: {error}", fix)
        return written


_NULL_FIX = "coalesce(x, default) or required(x), or let the contract accept None"


def _literal(value: object) -> Literal:
    return Literal(msgspec.Raw(msgspec.json.encode(value)))


def _key(node: Placeholder) -> str | int:
    inner = value_of(node)
    key: str | int = inner.args[1].encode_name if inner.op == "field" else inner.args[1]
    return key
