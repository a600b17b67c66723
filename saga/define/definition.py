"""`define`: runs an author's function twice with placeholders, compares, and returns what was written as data."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast, get_type_hints

import msgspec

from saga.contract import VERSION_MAX
from saga.core import definition as core
from saga.core.errors import DefinitionError, Problem
from saga.define.blocks import freeze
from saga.define.builder import NAME, NAME_FIX, Builder
from saga.define.built import Definition
from saga.define.checks import problems_of
from saga.define.people import problems_of_approvals
from saga.define.placeholder import Placeholder, PlaceholderMisuse, Source, type_text
from saga.define.positions import problems_of_pivots
from saga.define.recorded import INPUT
from saga.define.saga import Saga
from saga.define.shapes import is_struct
from saga.define.source import silent_decisions

I = TypeVar("I")  # noqa: E741 - input, as in Definition[I, O]
O = TypeVar("O")  # noqa: E741 - output

DEADLINE_DEFAULT = timedelta(days=1)


def define(
    name: str, *, version: int, deadline: timedelta = DEADLINE_DEFAULT
) -> Callable[[Callable[[Saga, I], O]], Definition[I, O]]:
    """Turn `def order(s: Saga, order: PlaceOrder) -> OrderPlaced` into a `Definition[PlaceOrder, OrderPlaced]`.

    The function runs here, twice, with placeholders, and never again. Nothing is registered.

    Raises DefinitionError with every problem found; PlaceholderMisuse, which is one too, at the first place where
    Python is asked for a value that only a run of the saga knows.
    """

    def build(function: Callable[[Saga, I], O]) -> Definition[I, O]:
        problems, header = _header(name, version, deadline)
        problems += silent_decisions(function)
        ends = _ends(header, function, problems)
        compiled, children, signals = _written(header, function, ends, problems)
        again, *_ = _written(header, function, ends, problems)
        first, second = core.canonical(compiled), core.canonical(again)
        if first != second:
            place = first_difference(msgspec.json.decode(first), msgspec.json.decode(second))
            reason = "two builds differ: the function uses the clock, chance, or something that changes"
            problem = Problem(place, reason, "pass such values in the input, or let a participant make them")
            raise DefinitionError(header.title, (problem,))
        # Fields stand in the order of the stored bytes: every process must render the same body for a key.
        return Definition(name, version, core.content_hash(first), first, core.decode(first), *ends, children, signals)

    return build


class _Header(msgspec.Struct, frozen=True):
    name: str
    version: int
    deadline: timedelta

    @property
    def title(self) -> str:
        return f"{self.name} v{self.version}"


def _header(name: object, version: object, deadline: object) -> tuple[list[Problem], _Header]:
    """What is wrong with it, and one to go on with."""
    found = []
    if not isinstance(name, str) or not NAME.fullmatch(name):
        found.append(Problem("define", f"the name {name!r} does not fit a routing key", NAME_FIX))
    if not isinstance(version, int) or not 1 <= version <= VERSION_MAX:
        found.append(Problem("define", f"version={version!r}", f"a number from 1 to {VERSION_MAX}"))
    if not isinstance(deadline, timedelta):
        found.append(Problem("define", f"deadline={deadline!r} has no unit", "deadline=timedelta(hours=...)"))
    elif deadline <= timedelta(0):
        found.append(Problem("define", f"deadline={deadline}: no time at all", "give a positive time"))
    return found, _Header(
        name=str(name),
        version=version if isinstance(version, int) else 1,
        deadline=deadline if isinstance(deadline, timedelta) else DEADLINE_DEFAULT,
    )


def _ends(header: _Header, function: Callable[[Saga, I], O], problems: list[Problem]) -> tuple[type[I], type[O]]:
    """Input and output type, from the annotations. Raises DefinitionError when they do not say."""
    fix = "def order(s: Saga, order: PlaceOrder) -> OrderPlaced"
    try:
        hints = get_type_hints(function)
    except NameError as error:
        reason = f"an annotation cannot be read here: {error}"
        raise DefinitionError(
            header.title, (*problems, Problem("define", reason, "import it at module level"))
        ) from None
    names = list(inspect.signature(function).parameters)
    if len(names) != 2 or names[1] not in hints or "return" not in hints:
        problem = Problem("define", "its function does not say what goes in and what comes out", fix)
        raise DefinitionError(header.title, (*problems, problem))
    ends = (hints[names[1]], hints["return"])
    for end, kind in zip((INPUT, "result"), ends, strict=True):
        if not is_struct(kind) and not (end == "result" and kind is type(None)):
            problems.append(Problem(end, f"{type_text(kind)} is no msgspec.Struct", fix))
    return cast("tuple[type[I], type[O]]", ends)


def _written(
    header: _Header, function: Callable[[Saga, I], O], ends: tuple[type[I], type[O]], known: list[Problem]
) -> tuple[core.Definition, tuple[Definition[Any, Any], ...], dict[str, type[Any]]]:
    """One run of the author's function, its children, and the types of its signals.

    Raises DefinitionError with the known problems and all it finds.
    """
    builder = Builder(header.name, header.deadline)
    values = builder.values
    values.found.problems += known
    placeholder = Placeholder("source", ends[0], Source(values.found, INPUT))
    try:
        result = function(Saga(builder), cast("I", placeholder))
        output = values.expression(result, ends[1], builder.site("result"))
    except PlaceholderMisuse as error:
        error.add_note(f"while {header.title} was built")
        raise
    except (TypeError, AttributeError, ValueError) as error:
        error.add_note(f"while {header.title} was built, where fields of the input and of replies have no value yet")
        raise
    compiled = core.Definition(
        name=header.name,
        version=header.version,
        deadline=header.deadline,
        input_type=type_text(ends[0]),
        output_type=type_text(ends[1]),
        key=builder.key,
        tags=builder.tags,
        requester=builder.requester,
        reads=dict(sorted(values.found.reads.items())),
        blocks=freeze(builder.root),
        output=output,
    )
    problems_of_approvals(values.found)
    for lost in builder.unopened.values():
        values.bad(lost.name, f"{lost.written} is written without 'with'", f"with {lost.written}: ...")
    problems = [*values.found.problems, *problems_of_pivots(builder.root), *problems_of(compiled)]
    if problems:
        raise DefinitionError(header.title, tuple(problems))
    return compiled, tuple(builder.children), builder.signals


def first_difference(one: Any, two: Any, place: str = "") -> str:
    """Where two JSON values differ first."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        pairs = [
            (str(one[key].get("path", key)) if isinstance(one[key], dict) else key, one[key], two[key]) for key in one
        ]
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        pairs = [
            (str(a.get("path", i)) if isinstance(a, dict) else str(i), a, b)
            for i, (a, b) in enumerate(zip(one, two, strict=True))
        ]
    else:
        return place
    for name, a, b in pairs:
        if a != b:
            return first_difference(a, b, f"{place}.{name}" if place else name)
    return place
