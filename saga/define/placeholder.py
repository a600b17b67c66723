"""Placeholders: what stands for a value while a definition is built.

To the type checkers a placeholder is the value itself; at run time it records what is done with it, and refuses what
Python would have to answer at once.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec

from saga.core.document import path_text
from saga.core.errors import DefinitionError, Problem
from saga.core.expression import ScalarType
from saga.define.shapes import NO_DEFAULT, Field, is_struct, item_type, plain, scalar_type, struct_fields

REPR_MARK = "<placeholder "
"""Begins the repr of every placeholder; found in a literal, somebody turned a placeholder into text."""


class PlaceholderMisuse(DefinitionError, TypeError):
    """Python was asked for a value that exists only when a saga runs. Only the first such place is found in a build."""

    def __init__(self, place: str, reason: str, fix: str) -> None:
        problem = Problem(place, reason, fix, code="SAGA-2002")
        super().__init__("misuse of a placeholder (only the first one is found)", (problem,))


class Source(msgspec.Struct, frozen=True):
    """Where recorded values come from: the input, a reply, an item, a signal or an approval."""

    build: object
    """The build it belongs to: placeholders do not travel between definitions."""
    path: str
    checked_as: str = ""
    """The source under which what is read of it is checked, where that is another one."""


class Value(msgspec.Struct, frozen=True):
    """What a placeholder stands for."""

    op: str
    """`source`, `field`, `item`, or the name of the word or comparison that made it."""
    type: Any
    args: tuple[Any, ...]


class Placeholder:
    """A recorded value, or an expression over recorded values."""

    __slots__ = ("_saga_value",)

    def __init__(self, op: str, kind: Any, *args: Any) -> None:
        self._saga_value = Value(op, kind, args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = plain(self._saga_value.type)
        untyped = scalar_type(kind) is ScalarType.ANY
        fields = struct_fields(kind) if is_struct(kind) else {}
        if name in getattr(kind, "__dataclass_fields__", ()):
            fix = f"make {type_text(kind)} a msgspec.Struct, or pass the whole value on"
            raise PlaceholderMisuse(show(self), f"'.{name}' is read from {type_text(kind)}, which is no Struct", fix)
        if not untyped and name not in fields:
            raise PlaceholderMisuse(
                show(self),
                f"has no field '{name}': it is {type_text(kind)}",
                f"its fields are {', '.join(fields)}"
                if fields
                else "methods of a value belong in a participant; a definition passes values on and compares them",
            )
        _check_path(self, f".{name}")
        field = Field(name, name, Any, NO_DEFAULT) if untyped else fields[name]
        return Placeholder("field", field.type, self, field)

    def __getitem__(self, key: object) -> Any:
        kind = scalar_type(self._saga_value.type)
        wanted = {ScalarType.LIST: int, ScalarType.OBJECT: str, ScalarType.ANY: int | str}.get(kind)
        if wanted is None or is_struct(plain(self._saga_value.type)):
            raise PlaceholderMisuse(show(self), "has no items", "read its fields, or pass the whole value on")
        if isinstance(key, Placeholder) or not isinstance(key, wanted) or (isinstance(key, int) and key < 0):
            raise PlaceholderMisuse(
                show(self), f"[{key!r}] cannot be read", "write a number from 0, or the key of a dict, as a constant"
            )
        _check_path(self, path_text("", (key,)))
        return Placeholder("item", item_type(self._saga_value.type), self, key)

    def __eq__(self, other: object) -> Any:
        return _comparison("eq", self, other)

    def __ne__(self, other: object) -> Any:
        return _comparison("ne", self, other)

    def __lt__(self, other: object) -> Any:
        return _comparison("lt", self, other)

    def __le__(self, other: object) -> Any:
        return _comparison("le", self, other)

    def __gt__(self, other: object) -> Any:
        return _comparison("gt", self, other)

    def __ge__(self, other: object) -> Any:
        return _comparison("ge", self, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{REPR_MARK}{show(self)}>"


def value_of(placeholder: Placeholder) -> Value:
    """What it stands for. Contracts may have fields of any name, so this is no attribute."""
    return placeholder._saga_value  # noqa: SLF001 - the one door


def _check_path(value: Placeholder, step: str) -> None:
    """Only what names one recorded place is read further."""
    if is_path(value):
        return
    if value_of(value).op == "collect":
        raise PlaceholderMisuse(show(value), f"'{step}' is read from what is collected", _WHOLE)
    fix = f"read first, then choose: coalesce(a{step}, b{step}), or coalesce(a{step}, default)"
    raise PlaceholderMisuse(show(value), f"'{step}' is read from a choice", fix)


def _comparison(op: str, left: Placeholder, right: object) -> Placeholder:
    if right is None:
        raise PlaceholderMisuse(show(left), "is compared with None", "write present(x), or not_(present(x))")
    return Placeholder(op, bool, left, right)


_CONDITION = "write conditions with s.when(...), all_of(...), any_of(...), not_(...); 'x or y' is coalesce(x, y)"
_TEXT = "write text('... {} ...', x)"
_WHOLE = "pass the whole list on, or do steps for every item: with s.each('lines', order.lines, limit=100) as line"
_ARITHMETIC = "compute it in a participant and read its reply; a definition passes values on and compares them"
_REFUSED = {
    "bool": ("is used as a condition of Python (if, and, or, not, in, a < b < c, match)", _CONDITION),
    "iter": ("is iterated over (for, in, unpacking, join)", _WHOLE),
    "contains": ("is searched with 'in'", "write one_of(x, ...), or let a participant search"),
    "len": ("is asked for its length", "write size(x)"),
    "format": ("is written into an f-string or format()", _TEXT),
    "str": ("is turned into text (str, %)", _TEXT),
    **dict.fromkeys(("int", "float", "complex", "index", "round", "bytes"), ("is turned into a number", _ARITHMETIC)),
    "setitem": ("is changed", "values are recorded facts; nothing can change them"),
    "call": ("is called", "methods of a value belong in a participant"),
    **dict.fromkeys(
        (f"{side}{name}" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul",
                                       "lshift", "rshift", "xor") for side in ("", "r")),
        ("is computed with", f"{_ARITHMETIC}; for text write text('... {{}} ...', x)"),
    ),
    **dict.fromkeys(("neg", "pos", "abs", "ceil", "floor", "trunc"), ("is computed with", _ARITHMETIC)),
    **dict.fromkeys(("and", "rand", "or", "ror", "invert"), ("is combined with & | ~", _CONDITION)),
}  # fmt: skip


def _refuse(name: str) -> Any:
    reason, fix = _REFUSED[name]

    def refused(self: Placeholder, *_: object) -> NoReturn:
        raise PlaceholderMisuse(show(self), f"{reason}, but has no value while the definition is built", fix)

    return refused


for _name in _REFUSED:
    setattr(Placeholder, f"__{_name}__", _refuse(_name))


def show(value: object) -> str:
    """A placeholder as the author wrote it."""
    if not isinstance(value, Placeholder):
        return repr(value)
    inner = value_of(value)
    match inner.op:
        case "source":
            return str(inner.args[0].path)
        case "field":
            return f"{show(inner.args[0])}.{inner.args[1].name}"
        case "item":
            return show(inner.args[0]) + path_text("", (inner.args[1],))
        case _:
            return f"{inner.op}({', '.join(map(show, inner.args))})"


def references(value: object, *, guarded: bool = False) -> Iterator[tuple[Source, str, bool]]:
    """Every recorded value that is read below: its source, how it is written, and whether its absence is handled."""
    if isinstance(value, Placeholder):
        inner = value_of(value)
        if is_path(value):
            yield source_of(value), show(value), guarded
            return
        guarded = guarded or inner.op in ("coalesce", "present")
        below: Iterable[object] = inner.args
    elif isinstance(value, msgspec.Struct):
        below = [getattr(value, name) for name in value.__struct_fields__]
    else:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in below:
        yield from references(item, guarded=guarded)


def is_path(value: Placeholder) -> bool:
    """Whether it names one recorded place; `required(x)` does not change the place."""
    inner = value_of(value)
    return inner.op in ("source", "field", "item") or (inner.op == "required" and is_path(inner.args[0]))


def source_of(value: Placeholder) -> Source:
    """Where a path begins."""
    inner = value_of(value)
    while inner.op != "source":
        inner = value_of(inner.args[0])
    source = inner.args[0]
    assert isinstance(source, Source)
    return source


def type_text(kind: Any) -> str:
    """A type as people write it."""
    kind = plain(kind)
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
