"""I1, I7: an attempt times out only after its own time on the broker, a step is exhausted only after its time, and no
pause counts as time."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core import inputs as i
from saga.core.bounds import RETRY_AFTER_MAX
from saga.core.identity import attempt_id, idempotency_key
from saga.core.messages import Kind
from saga.core.retry import in_deploy_gap
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

TOLERANCE = timedelta(seconds=1)


def on_commit(world: "World", row: Row, commit: Commit, shadow: Shadow) -> None:
    """Look at every clock that ran out in this commit."""
    for event in commit.events:
        match event:
            case e.AttemptEnded(why="timeout"):
                _attempt(world, row, event, shadow)
            case e.StepExhausted() | e.StepParked(code=e.ParkCode.EXHAUSTED) if not world.drawn.skew_seconds:
                _exhausted(row, event)
            case e.DeadlinePassed() if not world.drawn.skew_seconds:
                _at_least(
                    row, event.at, row.commits[0].events[0].at, row.plan.definition.deadline, "the saga's deadline"
                )
            case _:
                pass


def _attempt(world: "World", row: Row, event: e.AttemptEnded, shadow: Shadow) -> None:
    key = idempotency_key(shadow.saga, event.path, event.kind, event.execution)
    if attempt_id(key, event.attempt) not in world.broker.accepted:
        raise Violation("I7", f"attempt {event.attempt} of {event.path} timed out, but it never reached the broker")
    step = row.commits[-2].state.steps[event.path]
    execution = step.action if event.kind is Kind.ACTION or step.undo is None else step.undo
    if not world.drawn.skew_seconds:
        what = f"attempt {event.attempt} of {event.path}"
        _at_least(row, event.at, execution.sent_at, row.plan.step(event.path).timeout, what)


def _exhausted(row: Row, event: e.StepExhausted | e.StepParked) -> None:
    """With attempts left, only because the next one would come after the step's time."""
    step, before = row.plan.step(event.path), row.commits[-2].state.steps.get(event.path)
    if before is None or getattr(event, "kind", Kind.ACTION) is not Kind.ACTION or step.within is None:
        return
    # What was asked again in a deploy gap, and is answered by a service that knows it now, was an attempt after all.
    counted = before.action.counted + in_deploy_gap(before.action)
    if step.retry.attempts is not None and counted >= step.retry.attempts:
        return
    next_attempt = max(step.retry.cap, RETRY_AFTER_MAX if _asked_to_wait(row) else timedelta(0))
    _at_least(row, event.at + next_attempt, _budget_since(row, event.path), step.within, f"the time of {event.path}")


def _asked_to_wait(row: Row) -> bool:
    given = row.commits[-1].given
    return isinstance(given, i.Reply) and given.message.retry_after is not None


def _budget_since(row: Row, path: str) -> datetime:
    """When the step's time began: it was issued then, or a person gave it a fresh budget."""
    for commit in reversed(row.commits):
        for event in commit.events:
            if isinstance(event, e.CommandIssued) and event.path == path and event.kind is Kind.ACTION:
                return event.at
            if isinstance(event, e.CommandRepeated) and event.path == path and event.within_at is not None:
                return event.at
    raise AssertionError(f"{path} was never issued")


def _at_least(row: Row, until: datetime, since: datetime, length: timedelta, what: str) -> None:
    """So long must have passed, the pauses not counted."""
    passed = until - since - paused(row, since, until)
    if passed + TOLERANCE < length:
        raise Violation("I1", f"{what} ended after {passed} instead of {length}")


def paused(row: Row, since: datetime, until: datetime) -> timedelta:
    """How long the saga was paused between two moments, by the commits before the last."""
    total, paused_at = timedelta(0), None
    for commit in row.commits[:-1]:
        for event in commit.events:
            if isinstance(event, e.SagaPaused):
                paused_at = event.at
            elif isinstance(event, e.SagaResumed) and paused_at is not None:
                total += max(timedelta(0), min(event.at, until) - max(paused_at, since))
                paused_at = None
    if paused_at is not None:
        total += max(timedelta(0), until - max(paused_at, since))
    return total
