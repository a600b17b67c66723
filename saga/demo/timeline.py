"""A saga's recorded events as lines in two lanes: what was done, and what was undone. Knows no saga in particular.

Nothing here is made up: a line is an event of the stored history, and a time in it is the store's.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import msgspec

from saga.core import events as e
from saga.core.address import template
from saga.core.definition import Step
from saga.core.messages import Kind, ReplyEffect
from saga.core.plan import Plan

UNDO_COLUMN = 52
STEP_WIDTH = 11
TEXT_CHARACTERS_MAX = 100


class Lane(StrEnum):
    """Where a line stands."""

    SAGA = "saga"
    FORWARD = "forward"
    UNDO = "undo"


class Mark(StrEnum):
    """What a line says at a glance."""

    BEGUN = "●"
    SENT = "→"
    DONE = "✓"
    FAILED = "✗"
    AGAIN = "↻"
    TURNED = "◀"
    UNDOING = "↶"
    PARKED = "‖"
    NOTED = "·"


PLAIN_MARKS = dict(zip(Mark, ("*", ">", "+", "x", "~", "<", "<", "!", "."), strict=True))
"""For terminals that cannot show the others."""


class Entry(msgspec.Struct, frozen=True):
    """One event."""

    at: datetime
    lane: Lane
    mark: Mark
    step: str
    text: str


class Timeline:
    """One saga, event by event."""

    def __init__(self, plan: Plan) -> None:
        self.ended = False
        self._plan = plan
        self._began_at: datetime | None = None
        self._marks: dict[str, dict[Lane, Mark]] = {}

    def add(self, commit: bytes) -> list[Entry]:
        """The lines of one stored commit. Raises msgspec.ValidationError for bytes this release did not write."""
        found = [self._entry(event) for event in e.decode(commit)]
        for entry in found:
            self._began_at = self._began_at or entry.at
            if entry.step and entry.mark is not Mark.NOTED:
                self._marks.setdefault(entry.step, {})[entry.lane] = entry.mark
        return found

    def line(self, entry: Entry) -> str:
        """An entry as text: its time since the start, then its lane."""
        since = entry.at - (self._began_at or entry.at)
        text = (
            f"{entry.mark} {entry.step.ljust(STEP_WIDTH)} {entry.text}" if entry.step else f"{entry.mark} {entry.text}"
        )
        column = " " * (UNDO_COLUMN if entry.lane is Lane.UNDO else 0)
        return f"{since / timedelta(seconds=1):>8.3f}s  {column}{text}".rstrip()

    def lanes(self) -> list[str]:
        """Both lanes as they stand: a column for each step that was reached, what undid it below it."""
        forward = [f"{step} {marks.get(Lane.FORWARD, Mark.NOTED)}" for step, marks in self._marks.items()]
        lines = [f"  forward   {' ── '.join(forward)}"]
        undone = [Lane.UNDO in marks for marks in self._marks.values()]
        if any(undone):
            cells = [
                f"{step} {marks[Lane.UNDO]}" if Lane.UNDO in marks else " " * (len(step) + 2)
                for step, marks in self._marks.items()
            ]
            joints = [" ◀─ " if left and right else "    " for left, right in pairwise(undone)]
            lines.append("  undo      " + "".join(map(str.__add__, cells, [*joints, ""])).rstrip())
        return lines

    def _entry(self, event: e.AnyEvent) -> Entry:
        match event:
            case e.CommandIssued() | e.CommandRepeated() | e.AttemptEnded():
                return self._sending(event)
            case e.StepSucceeded(path=step):
                replayed = "" if event.effect is ReplyEffect.APPLIED else f"  {event.effect}"
                again = f"  attempt {event.attempt}" if event.attempt > 1 else ""
                return Entry(event.at, Lane.FORWARD, Mark.DONE, step, f"{_reply(event.reply)}{again}{replayed}")
            case e.StepFailed(path=step):
                return Entry(
                    event.at, Lane.FORWARD, Mark.FAILED, step, f"{event.code} {_reply(event.failure)}".rstrip()
                )
            case e.CompensationSucceeded(path=step):
                text = "undone" if event.effect is ReplyEffect.APPLIED else f"undone ({event.effect})"
                return Entry(event.at, Lane.UNDO, Mark.DONE, step, text)
            case e.CompensationFailed(path=step):
                return Entry(event.at, Lane.UNDO, Mark.FAILED, step, f"{event.code} {event.message}")
            case e.StepParked(path=step):
                lane = Lane.UNDO if event.kind is Kind.COMPENSATION else Lane.FORWARD
                return Entry(event.at, lane, Mark.PARKED, step, event.text)
            case _:
                return self._about_saga(event)

    def _sending(self, event: e.CommandIssued | e.CommandRepeated | e.AttemptEnded) -> Entry:
        undoing = event.kind is Kind.COMPENSATION
        lane = Lane.UNDO if undoing else Lane.FORWARD
        command = _command(self._plan.steps.get(template(event.path)), undoing=undoing)
        match event:
            case e.CommandIssued():
                return Entry(event.at, lane, Mark.UNDOING if undoing else Mark.SENT, event.path, command)
            case e.CommandRepeated():
                return Entry(event.at, lane, Mark.AGAIN, event.path, f"{command}, attempt {event.attempt}")
            case e.AttemptEnded():
                return Entry(event.at, lane, Mark.NOTED, event.path, f"attempt {event.attempt}: {event.why}")

    def _about_saga(self, event: e.AnyEvent) -> Entry:
        match event:
            case e.SagaStarted():
                text = f"{event.name} v{event.definition_version} started, key {event.start_key.partition(':')[2]}"
                return Entry(event.at, Lane.SAGA, Mark.BEGUN, "", text)
            case e.CompensationStarted():
                reason = " ".join(part for part in (event.because, event.path, event.code) if part)
                return Entry(event.at, Lane.SAGA, Mark.TURNED, "", f"from here it undoes, newest first ({reason})")
            case e.SagaCompleted() | e.SagaCompensated() | e.SagaAbandoned():
                self.ended = True
                status = type(event).__name__.removeprefix("Saga").lower()
                output = _reply(event.output) if isinstance(event, e.SagaCompleted) else ""
                return Entry(event.at, Lane.SAGA, Mark.BEGUN, "", f"{status}  {output}".rstrip())
            case _:
                path = str(getattr(event, "path", ""))
                return Entry(event.at, Lane.SAGA, Mark.NOTED, "", f"{type(event).__name__} {path}".rstrip())


def _command(step: Step | None, *, undoing: bool) -> str:
    template = step and (step.undo if undoing else step.command)
    return f"{template.service}.{template.name}" if template else ""


def _reply(raw: msgspec.Raw) -> str:
    """What was answered, short: `name value` for each field."""
    answered = msgspec.json.decode(raw)
    if not isinstance(answered, dict):
        return ""
    text = ", ".join(f"{name} {_short(value)}" for name, value in answered.items())
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{text[:11]}…" if len(text) > 24 and " " not in text else text
