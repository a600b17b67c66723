"""S10, S11: only what is done or unknown is undone, unfinished first, then in reverse, each after the answer before.

Branches and items are undone side by side, each backwards. The order comes from the definition and the recorded
commits, never from the core.
"""

from collections.abc import Iterator

from saga.core import events as e
from saga.core.address import address_of, instance, template
from saga.core.blocks import OnUndoFailed
from saga.core.messages import Kind
from tests.simulation.checkers.chains import beside, comes_after
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit
from tests.simulation.violation import Violation


def on_commit(commit: Commit, shadow: Shadow) -> None:
    """Each compensation of this commit is one whose turn it is."""
    if not any(isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION for event in commit.events):
        return
    scout = shadow.fork()
    for event in commit.events:
        if isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION:
            check(event, scout)
        scout.clock += 1
        scout.event(event)


def check(event: e.CommandIssued, shadow: Shadow) -> None:
    """This compensation is one whose turn it is. Raises Violation."""
    turn = [path for path in shadow.to_undo() if _is_wanted(shadow, path)]
    if event.path not in turn:
        raise Violation("S10", f"{event.path} is undone, but there is nothing to undo")
    act = shadow.acts[event.path]
    if event.undoes != act.number or event.undoes_outcome != ("unknown" if act.outcome is None else "ok"):
        raise Violation("S10", f"the undo of {event.path} says {event.undoes_outcome} of execution {event.undoes}")
    before = shadow.undos.get(event.path)
    if before is not None and before.open:
        raise Violation("S11", f"the undo of {event.path} changes its key, and copies under the old one may still run")
    scope = _scope(shadow, event.path)
    mates = [path for path in turn if path != event.path and _scope(shadow, path) == scope]
    for path in mates:
        _first(shadow, event.path, path)
    for path in _open(shadow, mates):
        if not _may_run_together(shadow, event.path, path):
            raise Violation("S11", f"{event.path} is undone while the undo of {path} is not acknowledged")


def _first(shadow: Shadow, path: str, other: str) -> None:
    """Nothing may be left that has to be undone before this one."""
    if shadow.plan.step(other).on_undo_failed is OnUndoFailed.CONTINUE and other in shadow.parked:
        return
    mine, its = shadow.acts[path], shadow.acts[other]
    asked = other in shadow.parked or (other in shadow.undos and shadow.undos[other].open)
    if its.outcome is None and mine.outcome is None:
        if its.issued > mine.issued and not asked:
            raise Violation("S11", f"{path} is undone before {other}, which was issued later")
    elif its.outcome is None:
        raise Violation("S11", f"{path} is undone before {other}, whose outcome is unknown")
    elif mine.outcome is not None and comes_after(shadow.plan, other, path):
        raise Violation("S11", f"{path} is undone before {other}")


def _may_run_together(shadow: Shadow, path: str, other: str) -> bool:
    unfinished = shadow.acts[path].outcome is None and shadow.acts[other].outcome is None
    return unfinished or beside(shadow.plan, path, other)


def _open(shadow: Shadow, mates: list[str]) -> Iterator[str]:
    for path in mates:
        undo = shadow.undos.get(path)
        if undo is not None and undo.open and path not in shadow.parked:
            yield path


def _is_wanted(shadow: Shadow, path: str) -> bool:
    return shadow.compensating or _scope(shadow, path) is not None


def _scope(shadow: Shadow, path: str) -> str | None:
    """The outermost block around this step that is being undone; empty for the whole saga, None if nothing is."""
    if shadow.compensating:
        return ""
    at = address_of(path)
    found = None
    for block in shadow.plan.scopes[template(path)]:
        here = instance(block.path, at)
        if shadow.blocks.get(here) == "undoing":
            found = here
    return found
