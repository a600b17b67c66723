"""Recorded values: where a reference leads, whether it may be read there, and what a definition reads in all."""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from saga.core.document import Path, path_text
from saga.core.errors import DefinitionError, Problem
from saga.core.expression import Coalesce, Expression, Literal, Ref
from saga.core.reads import MAY_BE_MISSING, MAY_BE_NULL
from saga.define.blocks import Asked, Fork, Scope, Shape, Visibility, visibility
from saga.define.placeholder import Placeholder, show, source_of, type_text, value_of
from saga.define.shapes import NO_DEFAULT, is_struct, may_be_null, members, scalar_type, struct_config

INPUT = "input"
SIGNAL = "signal"
"""The source that the condition of a wait reads: the signal it looks at."""


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
        """A field or item of it."""
        return replace(self, place=self.place + suffix)


@dataclass(eq=False)
class Findings:
    """What one build found. Its identity is that of the build."""

    homes: dict[str, Scope] = field(default_factory=dict)
    """Where each step, wait, approval and item stands."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """The approvals."""
    reads: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def bad(self, place: str, reason: str, fix: str, *, code: str = DefinitionError.code) -> None:
        """Note a problem, once."""
        problem = Problem(place, reason, fix, code=code)
        if problem not in self.problems:
            self.problems.append(problem)


def reference(found: Findings, value: Placeholder, site: Site) -> Expression:
    """The expression of a path; a field that its contract lets be missing stands with its default."""
    source = source_of(value)
    if source.build is not found:
        found.bad(site.place, f"{show(value)} belongs to another definition", "pass what it needs in the input")
    else:
        _check_visible(found, source.path, show(value), site)
    chain = _chain(found, value, site)
    _check_objects(found, chain, site)
    keys: Path = tuple(_key(node) for node in chain[1:])
    _register(found, source.checked_as or source.path, chain, keys)
    place = Ref(source.path, keys, scalar_type(value_of(value).type))
    default = _default(found, chain, value, site)
    if default is NO_DEFAULT or (default is None and site.guarded):
        return place
    return Coalesce((place,) if default is None else (place, literal(default)))


def _check_visible(found: Findings, path: str, written: str, site: Site) -> None:
    if path == INPUT:
        return
    home = found.homes.get(path)
    if site.input_only or home is None:
        reason = "which is not there when the saga starts" if site.input_only else "which is not known here"
        found.bad(site.place, f"reads {written}, {reason}", "read a field of the input")
        return
    seen, fork = visibility(home, site.scope)
    if fork is None or (seen is Visibility.MAYBE and site.guarded):
        return
    reason, fix = _unseen(seen, fork, path)
    found.bad(site.place, f"reads {written}, {reason}", fix)


def _unseen(seen: Visibility, fork: Fork, path: str) -> tuple[str, str]:
    """Why a value cannot simply be read here, and what to do."""
    default = "coalesce(x, default), or move this into the same block"
    match seen:
        case Visibility.NEVER:
            return (
                f"which is never there: '{path}' stands in the other arm of '{fork.path}'",
                "read a reply of this arm, or move this behind the block and use coalesce(...)",
            )
        case Visibility.BESIDE:
            return (
                f"but '{path}' belongs to another branch of '{fork.path}', which runs at the same time",
                f"read it behind '{fork.path}', where its branches are joined",
            )
        case Visibility.INSIDE:
            return (
                f"but there is one for every item of '{fork.path}'",
                f"read it inside '{fork.path}', or all of them behind it: s.collect(...)",
            )
        case _ if fork.shape is Shape.ANY:
            return f"which is absent when another branch of '{fork.path}' came first", default
        case _ if fork.shape is Shape.LATE:
            return f"which is absent when the signal of '{fork.path}' did not come in time", default
        case _:
            return f"which is absent when '{fork.path}' did not do '{path}'", default


def _chain(found: Findings, value: Placeholder, site: Site) -> list[Placeholder]:
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
            found.bad(site.place, f"reads {show(chain[0])}, but {show(node)} may be null", fix)
        chain.insert(0, node)
        if inner.op == "source":
            return chain
        node, is_required = inner.args[0], False


def _check_objects(found: Findings, chain: list[Placeholder], site: Site) -> None:
    """An array_like Struct is a list on the wire: no body would pass the check of what is read."""
    for node in chain:
        kind = value_of(node).type
        if any(is_struct(member) and struct_config(member).array_like for member in members(kind)):
            reason = f"reads {show(chain[-1])}, but {type_text(kind)} is array_like: a list, not an object"
            found.bad(site.place, reason, "definitions read objects: drop array_like")


def _register(found: Findings, source: str, chain: list[Placeholder], keys: Path) -> None:
    for depth, node in enumerate(chain):
        inner = value_of(node)
        missing = inner.op == "item" or (inner.op == "field" and inner.args[1].default is not NO_DEFAULT)
        null = inner.type is not Any and may_be_null(inner.type)
        marks = MAY_BE_NULL * null + MAY_BE_MISSING * missing
        if marks or depth == len(keys):
            found.reads[path_text(source, keys[:depth])] = scalar_type(inner.type) + marks


def _default(found: Findings, chain: list[Placeholder], value: Placeholder, site: Site) -> Any:
    """What stands for the value when the field, or one above it, is missing; NO_DEFAULT if nothing does."""
    given = [(node, _default_at(chain, depth)) for depth, node in enumerate(chain)]
    defaults = [(node, default) for node, default in given if default is not NO_DEFAULT]
    if not defaults:
        return NO_DEFAULT
    last_node, last = defaults[-1]
    first_node, first = next((pair for pair in defaults if pair[1] != last), defaults[-1])
    if any(default is msgspec.UNSET for _, default in defaults):
        reason = f"reads {show(value)}, which has no value, not even null, when it is missing (UNSET)"
        found.bad(site.place, reason, "let the contract say '... | None = None'")
        return NO_DEFAULT
    if first != last:
        reason = f"{first!r} when {show(first_node)} is missing, but {last!r} when {show(last_node)} is"
        found.bad(site.place, f"reads {show(value)}, which is {reason}", "let the contract have one default there")
    elif last is not None and any(may_be_null(value_of(node).type) for node in chain[1:]):
        found.bad(
            site.place,
            f"reads {show(value)}, whose contract gives one meaning to null and another to a missing field",
            "let the contract have no default there, None as the default, or no null",
        )
    return last


def _default_at(chain: list[Placeholder], depth: int) -> Any:
    """What the default of one field of a path says about the value at its end."""
    inner = value_of(chain[depth])
    if inner.op != "field" or inner.args[1].default is NO_DEFAULT:
        return NO_DEFAULT
    default = inner.args[1].default
    for node in chain[depth + 1 :]:
        below = value_of(node)
        if default is None or below.op != "field":
            return NO_DEFAULT
        default = getattr(default, below.args[1].name)
    return default


def literal(value: object) -> Literal:
    """A constant, as it is written in the definition."""
    return Literal(msgspec.Raw(msgspec.json.encode(value)))


def _key(node: Placeholder) -> str | int:
    inner = value_of(node)
    key: str | int = inner.args[1].encode_name if inner.op == "field" else inner.args[1]
    return key
