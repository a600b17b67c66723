"""Counts what happened, so that a long run in which something never happens is known to have proved nothing."""

from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core import inputs as i
from saga.core.messages import Kind, Outcome
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row

if TYPE_CHECKING:
    from tests.simulation.world import World

OF_STRUCTURES = frozenset(
    {
        *("BranchChosen", "MapStarted", "LoopTurned", "WaitStarted", "WaitEnded", "SignalReceived", "SignalConsumed"),
        *("ApprovalRequested", "ApprovalWaived", "ApprovalDecided", "ApprovalClosed", "ApprovalEscalated"),
        *("ApprovalReminded", "PermitUsed", "ParentAsked"),
    }
)
"""Only definitions of every construct lead to these."""
WANTED = (
    *(event.__name__ for event in e.AnyEvent.__args__),
    "late success after timeout",
    "late success while compensating",
    "compensation before action",
    "zombie commit rejected",
    "commit unknown, was mine",
    "commit unknown, not written",
    "unroutable",
    "refused cancelled",
    "decision lost race to timeout",
    "cancel too-late",
    "cancel if-pivot-fails",
    "cancel now",
    "deadline while pivot undecided",
    "re-dispatch",
    "reconciled",
    "refused key-reused",
    "refused expired",
    "refused in-doubt",
    "start again, other bytes",
    "takeover mid-compensation",
    "conflict of three",
    "forged",
    "turned away: forged-sender",
    "turned away: unknown-execution",
    "undone from the payload alone",
    "forgotten",
    "broker wiped",
    "busy",
    "unknown command",
    "an unknown command is asked again without a record",
    *(
        f"operator: {verdict} in {phase}"
        for verdict, phase in (
            ("retry", "running"),
            ("retry", "compensating"),
            ("applied", "running"),
            ("applied", "compensating"),
            ("not-applied", "running"),
            ("not-applied", "compensating"),
            ("undo", "running"),
        )
    ),
    *(f"parked {code}" for code in ("exhausted", "in-doubt", "key-forgotten", "failed-after-pivot")),
    *(f"parked {code}" for code in ("compensation-failed", "reads-mismatch", "evaluation")),
)
"""What a long run must have met at least once."""


def note(world: "World", row: Row, commit: Commit, shadow: Shadow) -> None:
    """One commit's worth."""
    marks = world.marks
    before = row.commits[-2] if row.version > 1 else None
    for event in commit.events:
        marks[type(event).__name__] += 1
        special = _special(event, before, shadow)
        if special:
            marks[special] += 1
    if shadow.compensating and before is not None and before.node != commit.node:
        marks["takeover mid-compensation"] += 1
    if isinstance(commit.given, i.Tick) and any(isinstance(event, e.AttemptEnded) for event in commit.events):
        marks["timed out"] += 1


def _special(event: e.AnyEvent, before: Commit | None, shadow: Shadow) -> str:
    match event:
        case e.CancelRequested():
            return f"cancel {event.takes_effect}"
        case e.DeadlinePassed() if shadow.pivot() == "undecided":
            return "deadline while pivot undecided"
        case e.StepParked():
            return f"parked {event.code}"
        case e.StepSucceeded() if before is not None and event.actor is None:
            late = event.attempt < before.state.steps[event.path].action.attempt
            return "late success after timeout" if late else ""
        case e.LateReply() if event.outcome is Outcome.OK and event.kind is Kind.ACTION:
            return "late success while compensating"
        case _:
            return ""
