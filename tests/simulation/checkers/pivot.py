"""S12: from the issue of the pivot until its definite failure nothing is undone, and after its ok nothing ever is."""

from saga.core import events as e
from saga.core.messages import Kind
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit
from tests.simulation.violation import Violation


def on_commit(commit: Commit, shadow: Shadow) -> None:
    """No way back is taken over an undecided or passed pivot."""
    standing = shadow.pivot()
    for event in commit.events:
        path = getattr(event, "path", "")
        if path in shadow.plan.pivots:
            match event:
                case e.CommandIssued():
                    standing = "undecided"
                case e.StepSucceeded():
                    standing = "passed"
                case e.StepFailed():
                    standing = "failed"
                case _:
                    pass
        back = isinstance(event, e.CompensationStarted) or (
            isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION
        )
        if back and standing in ("undecided", "passed"):
            raise Violation("S12", f"{type(event).__name__} {path} while the pivot is {standing}")
