"""What a test expects to have been recorded, and how a difference is told."""

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from saga.contract import Failure, contract_of
from saga.core import events as e
from saga.core.messages import Kind
from saga.core.plan import Plan
from saga.testing.answers import address, split

QUIET = {"at", "due_at", "within_at", "deadline_at", "definition", "root", "traceparent", "message_id", "handler_ms"}
"""Fields that only make a difference hard to read."""


class Expected(msgspec.Struct, frozen=True):
    """An event of which only the fields that are given have to be so. Made by `event`, `issued` and the like."""

    kind: type[e.Event]
    fields: dict[str, Any]
    command: msgspec.Struct | None = None


def event(kind: type[e.Event], **fields: object) -> Expected:
    """An event of this class; only the fields named are compared. Raises TypeError for fields it does not have."""
    for name in fields:
        if name not in kind.__struct_fields__:
            known = ", ".join(kind.__struct_fields__)
            raise TypeError(f"{kind.__name__} has no field {name!r}. Fix: one of {known}")
    return Expected(kind, fields)


def issued(step: str, command: msgspec.Struct | None = None) -> Expected:
    """A command is sent for the first time: of a step, or of its compensation, `charge.undo`; with these fields."""
    path, kind = split(step)
    return Expected(e.CommandIssued, {"path": path, "kind": kind}, command)


def succeeded(path: str) -> Expected:
    """The step is done."""
    return Expected(e.StepSucceeded, {"path": path})


def refused_by(path: str, failure: type[Failure] | str) -> Expected:
    """The step has definitely failed for this declared reason."""
    code = failure if isinstance(failure, str) else failure.__name__
    return Expected(e.StepFailed, {"path": path, "code": code})


def undone(path: str) -> Expected:
    """The compensation of the step is acknowledged."""
    return Expected(e.CompensationSucceeded, {"path": path})


def compensating(because: str | None = None) -> Expected:
    """From here everything is undone; `because` is `failed`, `exhausted`, `rejected`,
    `expired`, `limit`, `cancelled`, `deadline`, `parent` or `operator`."""
    return Expected(e.CompensationStarted, {} if because is None else {"because": because})


def parked(step: str, code: str | None = None) -> Expected:
    """The step, or its compensation (`charge.undo`), waits for a person."""
    path, kind = split(step)
    fields: dict[str, Any] = {"path": path, "kind": kind}
    return Expected(e.StepParked, fields if code is None else {**fields, "code": code})


def completed() -> Expected:
    """The saga has done everything."""
    return Expected(e.SagaCompleted, {})


def compensated() -> Expected:
    """The saga has undone everything."""
    return Expected(e.SagaCompensated, {})


def matches(plan: Plan, expected: Expected, happened: e.Event) -> bool:
    """Whether an event is what was expected."""
    if not isinstance(happened, expected.kind):
        return False
    if any(getattr(happened, name) != value for name, value in expected.fields.items()):
        return False
    return expected.command is None or _same_command(plan, expected.command, happened)


def _same_command(plan: Plan, command: msgspec.Struct, happened: e.Event) -> bool:
    if not isinstance(happened, e.CommandIssued):
        return False
    step = plan.step(happened.path)
    unknown = step.undo_unknown if happened.undoes_outcome == "unknown" else None
    template = step.command if happened.kind is Kind.ACTION else unknown or step.undo
    wanted = contract_of(type(command)).type_name
    if template is None or template.type_name != wanted:
        return False
    # The body may hold numbers that a decoder would round; what the handler sees is what counts.
    return bool(msgspec.json.decode(bytes(happened.body), type=type(command)) == command)


def difference(plan: Plan, expected: Sequence[Expected], happened: Sequence[e.Event]) -> list[str]:
    """Lines of a diff: ` ` as expected, `-` missing, `+` not expected."""
    wanted = [spelt_expected(each) for each in expected]
    # Where one is as expected, both sides are spelt alike; so the diff lines them up.
    seen = [
        next(
            (text for text, each in zip(wanted, expected, strict=True) if matches(plan, each, one)),
            spelt_event(one),
        )
        for one in happened
    ]
    return [line for line in difflib.ndiff(wanted, seen) if not line.startswith("?")]


def spelt_expected(expected: Expected) -> str:
    """`CommandIssued charge.undo RefundCharge(...)`."""
    command = "" if expected.command is None else f" {expected.command!r}"
    return _spelt(expected.kind.__name__, expected.fields) + command


def spelt_event(happened: e.Event) -> str:
    """The event without what hardly ever matters."""
    fields = {
        name: value
        for name in happened.__struct_fields__
        if name not in QUIET and (value := getattr(happened, name)) not in (None, "", (), {})
    }
    return _spelt(type(happened).__name__, fields)


def _spelt(name: str, fields: dict[str, Any]) -> str:
    left = dict(fields)
    where = ""
    if "path" in left:
        kind = left.pop("kind", Kind.ACTION)
        where = f" {address(left.pop('path'), kind)}"
    return " ".join([f"{name}{where}", *(f"{field}={_value(value)}" for field, value in left.items())])


def _value(value: object) -> str:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
