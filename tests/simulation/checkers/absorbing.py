"""S7: exactly one terminal event; what comes later is an inert fact, or a parent that undoes its completed child."""

from saga.core import events as e
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit
from tests.simulation.violation import Violation

TERMINAL = (e.SagaCompleted, e.SagaCompensated, e.SagaAbandoned)
INERT = (e.LateReply, e.ContradictoryReply, e.ParentAsked)


def on_commit(commit: Commit, shadow: Shadow) -> None:
    """Nothing but facts after the end, and nothing after the end in the same commit."""
    ended = shadow.ended is not None
    for event in commit.events:
        if isinstance(event, e.CompensationStarted) and event.because == "parent" and shadow.ended is e.SagaCompleted:
            ended = False
        if ended and not isinstance(event, INERT):
            raise Violation("S7", f"{type(event).__name__} in version {commit.version}, after the end")
        ended = ended or isinstance(event, TERMINAL)
