"""S10, S11: only what is done or unknown is undone, unfinished first, then in reverse, each after the answer before."""

from saga.core import events as e
from saga.core.blocks import Attempt, OnUndoFailed, steps_of
from saga.core.messages import Kind
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation


def on_commit(row: Row, commit: Commit, shadow: Shadow) -> None:
    """Each compensation of this commit is the one whose turn it is."""
    if not any(isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION for event in commit.events):
        return
    scout = _copy(row, shadow)
    for event in commit.events:
        if isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION:
            _check(event, scout)
        scout.clock += 1
        scout.event(event)


def _copy(row: Row, shadow: Shadow) -> Shadow:
    """A shadow that may run ahead: the history before this commit, read again."""
    scout = Shadow(shadow.saga, shadow.plan)
    for commit in row.commits[:-1]:
        scout.take(commit)
    return scout


def _check(event: e.CommandIssued, shadow: Shadow) -> None:
    turn = shadow.to_undo(_scope(shadow))
    if event.path not in turn:
        raise Violation("S10", f"{event.path} is undone, but there is nothing to undo")
    act = shadow.acts[event.path]
    if event.undoes != act.number or event.undoes_outcome != ("unknown" if act.outcome is None else "ok"):
        raise Violation("S10", f"the undo of {event.path} says {event.undoes_outcome} of execution {event.undoes}")
    for path in turn[: turn.index(event.path)]:
        passed_over = shadow.plan.steps[path].on_undo_failed is OnUndoFailed.CONTINUE and path in shadow.parked
        if not passed_over:
            raise Violation("S11", f"{event.path} is undone before {path}")
    before = shadow.undos.get(event.path)
    if before is not None and before.open:
        raise Violation("S11", f"the undo of {event.path} changes its key, and copies under the old one may still run")
    for path, undo in shadow.undos.items():
        moot = shadow.acts[path].outcome == "failed"  # it is known by now that there was nothing to undo
        if undo.open and path != event.path and path not in shadow.parked and not moot:
            raise Violation("S11", f"{event.path} is undone while the undo of {path} is not acknowledged")


def _scope(shadow: Shadow) -> set[str] | None:
    """The steps of the attempt block that is being undone; None for the whole saga."""
    if shadow.compensating:
        return None
    return {
        step.path
        for blocks in shadow.plan.scopes.values()
        for block in blocks
        if isinstance(block, Attempt) and shadow.blocks.get(block.path) == "undoing"
        for step in steps_of(block.body)
    }
