"""Evaluates expressions over recorded JSON.

Only what is looked into is decoded; a value that is passed on is the slice of bytes it arrived as. Whatever the bytes
are, nothing but `EvaluationError` leaves this module.
"""

import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Never, assert_never

import msgspec

from saga.core.document import (
    LIST,
    OBJECT,
    STR,
    UNREADABLE,
    Document,
    Gap,
    Scalar,
    decode_scalar,
    found,
    path_text,
)
from saga.core.expression import (
    JSON_NULL,
    AllOf,
    AnyOf,
    Array,
    Coalesce,
    Collect,
    Compare,
    EvaluationError,
    Expression,
    Literal,
    Not,
    Object,
    OneOf,
    Places,
    Present,
    Ref,
    Required,
    ScalarType,
    Size,
    Sources,
    Text,
)
from saga.core.reads import check_reads

__all__ = ["check_reads", "holds", "place_of", "render", "scalar", "text_parts"]

Tree = msgspec.Raw | dict[str, "Tree"] | list["Tree"]
"""JSON whose leaves are untouched slices."""

_NULL = msgspec.Raw(JSON_NULL)
_TEMPLATE_PIECE = re.compile(r"\{\}|\{\{|\}\}|[{}]|[^{}]+")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def render(expression: Expression, sources: Sources) -> bytes:
    """The expression's value as JSON; values that are only passed on keep their bytes. Raises EvaluationError."""
    try:
        return msgspec.json.encode(_Evaluation(sources).tree(expression))
    except EvaluationError:
        raise
    except UNREADABLE as error:
        raise EvaluationError(place_of(expression), f"cannot be made: {error}") from None


def holds(condition: Expression, sources: Sources) -> bool:
    """Whether the condition is true. Decimals and instants are compared as such. Raises EvaluationError."""
    try:
        return _Evaluation(sources).condition(condition)
    except EvaluationError:
        raise
    except UNREADABLE as error:
        raise EvaluationError(place_of(condition), f"cannot be decided: {error}") from None


def scalar(expression: Expression, scalar_type: ScalarType, sources: Sources) -> Scalar:
    """The expression's value, decoded. Raises EvaluationError."""
    try:
        return _Evaluation(sources).scalar(expression, scalar_type)
    except EvaluationError:
        raise
    except UNREADABLE as error:
        raise EvaluationError(place_of(expression), f"cannot be read: {error}") from None


def place_of(expression: Expression) -> str:
    """Where an error about this expression is: the path it reads, else its operation."""
    match expression:
        case Ref():
            return path_text(expression.source, expression.fields)
        case Present() | Size() | Required():
            return place_of(expression.value)
        case Coalesce() if expression.values:
            return place_of(expression.values[0])
        case Collect():
            return place_of(expression.value)
        case _:
            return str(expression.__struct_config__.tag)


class _Evaluation:
    """One look at the sources: bodies are opened once however many references lead into them."""

    __slots__ = ("_document", "_sources")

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._document = Document(sources)

    def tree(self, expression: Expression) -> Tree:  # noqa: C901 - one case for each kind
        """The value, which must exist."""
        match expression:
            case Ref():
                return self.recorded(expression)
            case Literal():
                return expression.json
            case Object():
                return {name: self.tree(value) for name, value in expression.fields.items()}
            case Array():
                return [self.tree(item) for item in expression.items]
            case Coalesce():
                chosen = self.optional(expression)
                return _NULL if chosen is None else chosen
            case Required():
                return self.required(expression)
            case Text():
                return msgspec.Raw(msgspec.json.encode(self.text(expression)))
            case Size():
                return msgspec.Raw(b"%d" % self.size(expression))
            case Collect():
                return [_Evaluation(inside).tree(expression.value) for inside in self._inside(expression)]
            case Compare() | OneOf() | AllOf() | AnyOf() | Not() | Present():
                return msgspec.Raw(b"true" if self.condition(expression) else b"false")
            case _:
                assert_never(expression)

    def _inside(self, expression: Collect) -> Sequence[Sources]:
        if not isinstance(self._sources, Places):
            raise EvaluationError(expression.each, "has no items here")
        return self._sources.inside(expression.each)

    def recorded(self, reference: Ref) -> msgspec.Raw:
        """The value at a path, which must exist; it may be null."""
        value = self._document.find(reference.source, reference.fields)
        return _missing(reference, value) if isinstance(value, Gap) else value

    def required(self, expression: Required) -> Tree:
        """The value, which must exist and not be null."""
        value = self.optional(expression.value)
        if value is None:
            raise EvaluationError(place_of(expression), "is required, but it is missing or null")
        return value

    def optional(self, expression: Expression) -> Tree | None:
        """The value, or None when it is null, missing, or read from a step without a reply."""
        if isinstance(expression, Coalesce):
            return next((v for v in map(self.optional, expression.values) if v is not None), None)
        if isinstance(expression, Ref):
            found = self._document.find(expression.source, expression.fields)
            return None if isinstance(found, Gap) or bytes(found) == JSON_NULL else found
        value = self.tree(expression)
        return None if isinstance(value, msgspec.Raw) and bytes(value) == JSON_NULL else value

    def condition(self, expression: Expression) -> bool:
        """The truth of a condition; a plain value must be a JSON boolean."""
        match expression:
            case AllOf():
                return all(self.condition(inner) for inner in expression.conditions)
            case AnyOf():
                return any(self.condition(inner) for inner in expression.conditions)
            case Not():
                return not self.condition(expression.condition)
            case Present():
                return self.optional(expression.value) is not None
            case Compare():
                return self.compare(expression)
            case OneOf():
                value = self.scalar(expression.value, expression.type)
                return any(value == self.scalar(option, expression.type) for option in expression.options)
            case _:
                return bool(self.scalar(expression, ScalarType.BOOL))

    def compare(self, expression: Compare) -> bool:
        """Two values of one type."""
        compare = _OPERATORS.get(expression.operator)
        if compare is None:
            raise EvaluationError("compare", f"the operator {expression.operator!r} is not known")
        left = self.scalar(expression.left, expression.type)
        return compare(left, self.scalar(expression.right, expression.type))

    def scalar(self, expression: Expression, scalar_type: ScalarType) -> Scalar:
        """The value, decoded as the definition reads it."""
        value = self.tree(expression)
        if not isinstance(value, msgspec.Raw):
            raise EvaluationError(place_of(expression), f"{scalar_type} is read here, but it is {_found(value)}")
        return decode_scalar(value, scalar_type, place_of(expression))

    def size(self, expression: Size) -> int:
        """Items of a list, fields of an object, characters of a string."""
        value = self.tree(expression.value)
        if isinstance(value, msgspec.Raw):
            match bytes(value)[:1]:
                case b'"':
                    return len(STR.decode(value))
                case b"[":
                    return len(LIST.decode(value))
                case b"{":
                    return len(OBJECT.decode(value))
                case _:
                    raise EvaluationError(place_of(expression), f"{_found(value)} has no size")
        return len(value)

    def text(self, expression: Text) -> str:
        """The template with each `{}` replaced; numbers are written as they were recorded."""
        parts = text_parts(expression.template)
        if len(parts) != len(expression.values) + 1:
            raise EvaluationError("text", f"{len(parts) - 1} places for {len(expression.values)} values")
        written = [parts[0]]
        for value, part in zip(expression.values, parts[1:], strict=True):
            written += (self._written(value), part)
        return "".join(written)

    def _written(self, expression: Expression) -> str:
        value = self.tree(expression)
        raw = bytes(value) if isinstance(value, msgspec.Raw) else b"{"
        match raw[:1]:
            case b'"':
                return STR.decode(raw)
            case b"{" | b"[" | b"n":
                raise EvaluationError(place_of(expression), f"{_found(value)} cannot be written into a text")
            case _:
                return raw.decode()


@lru_cache(maxsize=4096)
def text_parts(template: str) -> tuple[str, ...]:
    """What stands around the `{}` of a template, with `{{` and `}}` read as braces. Raises EvaluationError."""
    parts = [""]
    for piece in _TEMPLATE_PIECE.findall(template):
        match piece:
            case "{}":
                parts.append("")
            case "{{" | "}}":
                parts[-1] += piece[0]
            case "{" | "}":
                raise EvaluationError("text", f"a single {piece!r} in {template!r}; write {{}} or {piece}{piece}")
            case _:
                parts[-1] += piece
    return tuple(parts)


def _found(value: Tree) -> str:
    if isinstance(value, msgspec.Raw):
        return found(value)
    return "a list" if isinstance(value, list) else "an object"


def _missing(reference: Ref, gap: Gap) -> Never:
    place = path_text(reference.source, reference.fields[: gap.depth])
    if gap.depth == 0 and not gap.null:
        raise EvaluationError(path_text(reference.source, reference.fields), f"{place} has no value here")
    raise EvaluationError(place, f"is {'null' if gap.null else 'missing'}")
