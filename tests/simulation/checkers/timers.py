"""S17: a timer never acts before it is due by the store's clock."""

from datetime import timedelta
from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core import inputs as i
from saga.core.state import Waiting
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

TOLERANCE = timedelta(seconds=1)


def on_commit(world: "World", row: Row, commit: Commit) -> None:
    """Whatever a tick led to was due."""
    if not isinstance(commit.given, i.Tick) or row.version < 2:
        return
    before, latest = row.commits[-2].state, world.moment() + TOLERANCE
    for event in commit.events:
        match event:
            case e.DeadlinePassed() if before.deadline_at > latest:
                raise Violation("S17", f"the deadline of {before.deadline_at} passed at {world.moment()}")
            case e.AttemptEnded() | e.CommandRepeated() | e.StepExhausted():
                step = before.steps[event.path]
                kind = getattr(event, "kind", "action")
                execution = step.action if kind == "action" or step.undo is None else step.undo
                due = execution.wake_at
                if execution.waiting in (Waiting.REPLY, Waiting.BACKOFF) and due is not None and due > latest:
                    raise Violation("S17", f"{type(event).__name__} {event.path} at {world.moment()}, due {due}")
            case _:
                pass
