"""The words of a definition: conditions and values over placeholders, and the policies of a step.

To the type checkers each word has the type of the value it stands for.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, TypeVar, Union, cast
from uuid import UUID

import msgspec

from saga.core.evaluation import text_parts
from saga.core.expression import EvaluationError
from saga.define.placeholder import Placeholder, PlaceholderMisuse, value_of
from saga.define.shapes import is_struct, item_type, may_be_null, plain, scalar_type

T = TypeVar("T")
U = TypeVar("U")

WITHIN_DEFAULT = timedelta(hours=1)
TIMEOUT_DEFAULT = timedelta(seconds=30)


class On(StrEnum):
    """What to react to, and how."""

    # Reasons for `s.attempt(on=[...])`, beside declared failures.
    EXHAUSTED = "exhausted"
    """Attempts or time of a step are used up."""
    REJECTED = "rejected"
    """An approval was refused, or nobody decided in time."""
    EXPIRED = "expired"
    """Nobody decided in time, where the approval says `on_expiry=On.COMPENSATE`."""
    DEADLINE = "deadline"
    """The time of `s.within` is over, or a signal did not come in time."""
    LIMIT = "limit"
    """`s.repeat` has had all its turns."""
    COMPENSATED = "compensated"
    """A sub-saga undid itself."""

    # What to do.
    PARK = "park"
    """`on_exhausted`, `on_late`: stand in front of an operator (the default of `on_exhausted`)."""
    COMPENSATE = "compensate"
    """`on_exhausted`, `on_late`, `on_expiry`: undo the saga, or the attempt around it."""
    HOLD = "hold"
    """`on_undo_failed`: the other compensations wait for the operator (the default)."""
    CONTINUE = "continue"
    """`on_undo_failed`: the other compensations go on. `on_late`: the saga goes on without the signal."""
    REJECT = "reject"
    """`on_expiry`: silence is a refusal (the default)."""

    # How branches come together.
    ALL = "all"
    """`join`: every branch succeeds (the default)."""
    ANY = "any"
    """`join`: the first branch that succeeds; the others are undone before the saga goes on."""
    STOP = "stop"
    """`on_failed`: one failure ends the block at once; what is in flight is undone first (the default)."""
    FINISH = "finish"
    """`on_failed`: the others come to their end before the block fails."""

    # What the undo of a sub-saga does with one that has not ended.
    CANCEL = "cancel"
    """`undo` of `s.child`: it is cancelled and undoes what it did."""
    WAIT = "wait"
    """`undo` of `s.child`: it goes on to its end, and is undone then."""


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is repeated: back-off with full jitter, from `first` doubling up to `cap`."""

    attempts: int | None = None
    """None: as many as fit into the step's `within`."""
    first: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=5)


class no_undo(msgspec.Struct, frozen=True):  # noqa: N801 - a word of the language
    """`undo=no_undo("reports are kept")`: why nothing is undone."""

    reason: str


class Escalate(msgspec.Struct, frozen=True):
    """`on_expiry=Escalate(to=["head"])`: these roles are asked too, for as long again; then silence is a refusal."""

    to: Sequence[str]


def all_of(*conditions: bool) -> bool:
    """Every condition holds; looked at in order, stopping at the first that does not."""
    return cast("bool", Placeholder("all_of", bool, *_conditions("all_of", conditions)))


def any_of(*conditions: bool) -> bool:
    """At least one condition holds; looked at in order, stopping at the first that does."""
    return cast("bool", Placeholder("any_of", bool, *_conditions("any_of", conditions)))


def not_(condition: bool) -> bool:  # noqa: FBT001 - the condition is the subject, not a flag
    """The condition does not hold."""
    return cast("bool", Placeholder("not_", bool, *_conditions("not_", (condition,))))


def one_of(value: T, *options: T) -> bool:
    """The value is one of the options."""
    placeholder_in("one_of", value)
    if not options:
        raise PlaceholderMisuse("one_of", "has no options", "one_of(value, 'a', 'b')")
    return cast("bool", Placeholder("one_of", bool, value, *options))


def present(value: object) -> bool:
    """The value is there and not null; for a step's reply, the step was done."""
    return cast("bool", Placeholder("present", bool, placeholder_in("present", value)))


def size(value: Sequence[Any] | Mapping[Any, Any] | str) -> int:
    """Items of a list, keys of a dict, characters of a string."""
    return cast("int", Placeholder("size", int, placeholder_in("size", value)))


def text(template: str, *values: str | float | Decimal | datetime | date | timedelta | UUID | Enum) -> str:
    """`text("Order {} for {}", order.order_id, order.email)`; `{{` and `}}` are braces."""
    if isinstance(cast("object", template), Placeholder):
        raise PlaceholderMisuse("text", "its template is not a constant", "text('... {} ...', x)")
    try:
        places = len(text_parts(template)) - 1
    except EvaluationError as error:
        raise PlaceholderMisuse("text", error.reason, "a place is {}, a brace is {{ or }}") from None
    if places != len(values):
        raise PlaceholderMisuse("text", f"{template!r} has {places} places for {len(values)} values", "one {} a value")
    return cast("str", Placeholder("text", str, template, *values))


def required(value: T | None) -> T:
    """The value, which must be there and not null when it is read; otherwise the step that reads it parks."""
    kind = value_of(placeholder_in("required", value)).type
    return cast("T", Placeholder("required", plain(kind), value))


def coalesce(value: T | None, default: U, /) -> T | U:
    """The value if it is there and not null, else the default. Also for a step that may not have been done."""
    kind: Any = plain(value_of(placeholder_in("coalesce", value)).type)
    other = _default_type(default, kind)
    result = kind if default is None or plain(other) == kind else Union[kind, plain(other)]  # noqa: UP007 - at run time
    if default is None or may_be_null(other):
        result = result | None
    return cast("T | U", Placeholder("coalesce", result, value, default))


def _default_type(default: object, expected: Any) -> Any:
    """What a default is: a constant list or dict by what it holds, an empty one whatever is expected."""
    if isinstance(default, Placeholder):
        return value_of(default).type
    if not isinstance(default, list | tuple | dict) or scalar_type(type(default)) is not scalar_type(expected):
        return type(default)
    held = [one for one in (default.values() if isinstance(default, dict) else default) if one is not None]
    if not held or is_struct(expected):
        return expected
    item: Any = Union[tuple(_default_type(one, item_type(expected)) for one in held)]  # noqa: UP007 - at run time
    if isinstance(default, tuple):
        return tuple[item, ...]
    return dict[str, item] if isinstance(default, dict) else list[item]


def _conditions(word: str, conditions: tuple[object, ...]) -> tuple[object, ...]:
    if not conditions:
        raise PlaceholderMisuse(word, "has no conditions", f"{word}(a > 1, b)")
    return tuple(placeholder_in(word, condition) for condition in conditions)


def placeholder_in(word: str, value: object) -> Placeholder:
    """The value, which must be one that only a run of the saga knows."""
    if isinstance(value, Placeholder):
        return value
    raise PlaceholderMisuse(
        word,
        f"is given {value!r}, which Python knew while the definition was built",
        "give it a field of the input or of a reply; 'x is None' is written not_(present(x))",
    )
