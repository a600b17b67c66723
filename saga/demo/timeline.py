"""A saga's recorded events as lines in two lanes: what was done, and what was undone. Knows no saga in particular.

Nothing here is made up: a line is an event of the stored history, and a time in it is the store's.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import msgspec

from saga.core import events as e
from saga.core.address import template
from saga.core.blocks import Branch
from saga.core.definition import Step
from saga.core.messages import Choice, Kind, ReplyEffect
from saga.core.plan import Plan
from saga.cost import Cost, added, spelt

UNDO_COLUMN = 52
STEP_WIDTH = 11
STEP_WIDTH_MAX = 28
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
    ASKED = "?"
    NOTED = "·"


PLAIN_MARKS = dict(zip(Mark, ("*", ">", "+", "x", "~", "<", "<", "!", "?", "."), strict=True))
"""For terminals that cannot show the others."""


class Entry(msgspec.Struct, frozen=True):
    """One event."""

    at: datetime
    lane: Lane
    mark: Mark
    step: str
    text: str


class Board:
    """What the lines of a saga and of those below it have in common."""

    def __init__(self) -> None:
        self.began_at: datetime | None = None
        self.marks: dict[str, dict[Lane, Mark]] = {}
        self.step_width = STEP_WIDTH


class Timeline:
    """One saga, event by event; `branches` puts the branch a step stands in before its name."""

    def __init__(self, plan: Plan, *, branches: bool = False, above: str = "", board: Board | None = None) -> None:
        self.ended = False
        self._cost: Cost = {}
        self._plan = plan
        self._branches = branches
        self._above = above
        self._board = board or Board()
        if branches:
            width = max((len(above + self._place(path)) for path in plan.steps), default=0)
            self._board.step_width = max(self._board.step_width, min(width, STEP_WIDTH_MAX))

    def below(self, step: str, plan: Plan) -> "Timeline":
        """That of a sub-saga which a step has started: its lines and columns stand among these, under the step's."""
        above = f"{self._above}{self._place(step)}/"
        return Timeline(plan, branches=self._branches, above=above, board=self._board)

    def add(self, commit: bytes) -> list[Entry]:
        """The lines of one stored commit. Raises msgspec.ValidationError for bytes this release did not write."""
        events = e.decode(commit)
        self._cost = added(
            (self._cost, *(event.cost for event in events if isinstance(event, e.Costly) and event.cost))
        )
        found = [self._placed(self._entry(event)) for event in events]
        for entry in found:
            self._board.began_at = self._board.began_at or entry.at
            if entry.step and entry.mark is not Mark.NOTED:
                self._board.marks.setdefault(entry.step, {})[entry.lane] = entry.mark
        return found

    def line(self, entry: Entry) -> str:
        """An entry as text: its time since the start, then its lane."""
        since = entry.at - (self._board.began_at or entry.at)
        width = self._board.step_width
        text = f"{entry.mark} {entry.step.ljust(width)} {entry.text}" if entry.step else f"{entry.mark} {entry.text}"
        column = " " * (UNDO_COLUMN + width - STEP_WIDTH if entry.lane is Lane.UNDO else 0)
        return f"{since / timedelta(seconds=1):>8.3f}s  {column}{text}".rstrip()

    def lanes(self) -> list[str]:
        """Both lanes as they stand: a column for each step that was reached, what undid it below it."""
        forward = [f"{step} {marks.get(Lane.FORWARD, Mark.NOTED)}" for step, marks in self._board.marks.items()]
        lines = [f"  forward   {' ── '.join(forward)}"]
        undone = [step if Lane.UNDO in marks else "" for step, marks in self._board.marks.items()]
        if any(undone):
            cells = [
                f"{step} {marks[Lane.UNDO]}" if Lane.UNDO in marks else " " * (len(step) + 2)
                for step, marks in self._board.marks.items()
            ]
            joints = [" ◀─ " if _follows(left, right) else "    " for left, right in pairwise(undone)]
            lines.append("  undo      " + "".join(map(str.__add__, cells, [*joints, ""])).rstrip())
        return lines

    def _place(self, path: str) -> str:
        """A path as it is shown: below what it stands in."""
        if not self._branches:
            return path
        scopes = [scope for scope in self._plan.scopes.get(template(path), ()) if isinstance(scope, Branch)]
        return "/".join([*(scope.path.rpartition("/")[2] for scope in reversed(scopes)), path])

    def _placed(self, entry: Entry) -> Entry:
        if entry.step:
            return msgspec.structs.replace(entry, step=self._above + self._place(entry.step))
        return msgspec.structs.replace(entry, step=self._above.rstrip("/")) if self._above else entry

    def _entry(self, event: e.AnyEvent) -> Entry:
        match event:
            case e.CommandIssued() | e.CommandRepeated() | e.AttemptEnded():
                return self._sending(event)
            case e.StepSucceeded(path=step):
                replayed = "" if event.effect is ReplyEffect.APPLIED else f"  {event.effect}"
                again = f"  attempt {event.attempt}" if event.attempt > 1 else ""
                return Entry(
                    event.at,
                    Lane.FORWARD,
                    Mark.DONE,
                    step,
                    f"{_reply(event.reply)}{again}{replayed}{_cost(event.cost)}",
                )
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
            case e.ApprovalRequested() | e.ApprovalDecided() | e.ApprovalClosed():
                return _about_people(event)
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
                text = f"{status}  {output}".rstrip()
                return Entry(event.at, Lane.SAGA, Mark.BEGUN, "", f"{text}{_cost(self._cost)}")
            case _:
                said = re.sub(r"(?<!^)(?=[A-Z])", " ", type(event).__name__).lower()
                return Entry(event.at, Lane.SAGA, Mark.NOTED, "", f"{said} {getattr(event, 'path', '')}".rstrip())


def _follows(left: str, right: str) -> bool:
    """Whether `left` was undone after `right`: both were, and not side by side."""
    above, beside = left.rpartition("/")[0], right.rpartition("/")[0]
    return bool(left and right) and (above == beside or not above or not beside)


def _about_people(event: e.ApprovalRequested | e.ApprovalDecided | e.ApprovalClosed) -> Entry:
    match event:
        case e.ApprovalRequested():
            about = f": {event.summary}" if event.summary else ""
            text = f"{event.quorum} of {' or '.join(event.roles)} to decide{about}"
            return Entry(event.at, Lane.FORWARD, Mark.ASKED, event.path, text)
        case e.ApprovalDecided(choice=choice):
            reason = f": {event.reason}" if event.reason else ""
            changed = "" if bytes(event.edited) == b"null" else ", and changed it"
            text = f"{event.approver} says {choice}{changed}{reason}"
            mark = Mark.DONE if choice is Choice.APPROVE else Mark.FAILED
            return Entry(event.at, Lane.FORWARD, mark, event.path, text)
        case e.ApprovalClosed():
            return Entry(event.at, Lane.FORWARD, Mark.NOTED, event.path, event.how)


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


def _cost(cost: Cost | None) -> str:
    return f"  cost {spelt(cost)}" if cost else ""


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{text[:11]}…" if len(text) > 24 and " " not in text else text
