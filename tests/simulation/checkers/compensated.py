"""S9: once compensated, every compensatable effect is gone, now and for ever; S6 in the large: one effect a step."""

from typing import TYPE_CHECKING

from saga.core import events as e
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.ledger import Entry
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def on_commit(world: "World", row: Row, shadow: Shadow, commit: Commit) -> None:
    """The end is declared: look at the books, and at what the history says was undone."""
    if not isinstance(commit.events[-1], e.SagaCompensated):
        return
    left = shadow.to_undo()
    if left:
        raise Violation("S10", f"compensated, but {', '.join(left)} may have happened and was not undone")
    _books(world, row, shadow)


def on_effect(world: "World", entry: Entry, shadow: Shadow) -> None:
    """Late deliveries still arrive after the end."""
    if shadow.ended is e.SagaCompensated:
        _stands(world, entry, shadow)


def at_end(world: "World", row: Row, shadow: Shadow) -> None:
    """Also when everything has arrived; and an abandoned saga lists whatever stands."""
    if shadow.ended is e.SagaCompensated:
        _books(world, row, shadow)
    if shadow.ended is e.SagaAbandoned:
        for entry in world.ledger.entries.values():
            if entry.saga == row.saga and entry.net and entry.path not in shadow.unresolved:
                raise Violation("S9", f"abandoned: {entry.path} stands and is not listed as unresolved")


def _books(world: "World", row: Row, shadow: Shadow) -> None:
    for entry in world.ledger.entries.values():
        if entry.saga == row.saga:
            _stands(world, entry, shadow)


def _stands(world: "World", entry: Entry, shadow: Shadow) -> None:
    step = shadow.plan.step(entry.path)
    if entry.net and step.kind == "compensatable" and step.undo is not None:
        raise Violation("S9", f"compensated, but {entry.path} stands under key {entry.key} at {world.now:.1f}s")
    if entry.net and step.kind == "pivot":
        raise Violation("S12", f"compensated, but the pivot {entry.path} took effect")
