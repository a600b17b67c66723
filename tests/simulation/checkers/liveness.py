"""L1: after healing every saga ends, or stands in front of a person for a reason that a doubt explains."""

from typing import TYPE_CHECKING

from saga.contract import Effect
from saga.core.address import template
from saga.core.events import ParkCode
from saga.core.outstanding import waits
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.faults import Regime
from tests.simulation.store import Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

NEVER = (ParkCode.KEY_REUSED, ParkCode.INVALID_PAYLOAD, ParkCode.TOO_LARGE, ParkCode.EFFECT_MISSING)
"""Participants that keep the contract give no reason for these."""


def at_end(world: "World", row: Row, shadow: Shadow) -> None:
    """Ended, or waiting for a person with cause."""
    del shadow
    state = row.state
    if state.terminal:
        world.marks[f"ended {state.phase}"] += 1
        return
    reasons = waits(row.plan, state)
    on_the_dead = any(
        row.plan.step(wait.path).command.service == "beta" for wait in reasons if template(wait.path) in row.plan.steps
    )
    later = any(wait.kind == "timer" and wait.until is not None and wait.until > world.moment() for wait in reasons)
    on_others = later or any(wait.kind in ("approval", "signal", "child") for wait in reasons)
    if world.drawn.regime is Regime.DEAD_SERVICE and (on_the_dead or on_others or state.paused_at is not None):
        world.marks["waits for a dead service"] += 1
        return
    if not state.parked and any(wait.kind == "child" for wait in reasons) and _has_open_child(world, row):
        world.marks["waits for a child"] += 1
        return  # the child is judged by itself
    if not state.parked:
        raise Violation("L1", f"{row.saga} did not end: {[wait.text for wait in reasons]}")
    if not world.operators.absent and world.drawn.regime is not Regime.DEAD_SERVICE:
        raise Violation("L1", f"{row.saga} is still parked although somebody looks: {[w.text for w in reasons]}")
    for path, parked in state.parked.items():
        _explain(world, row, path, parked.code)
    world.marks["ends parked"] += 1


def _has_open_child(world: "World", row: Row) -> bool:
    rows = world.store.rows.values()
    return any(other.state.parent == row.saga and not other.state.terminal for other in rows)


def _explain(world: "World", row: Row, path: str, code: ParkCode) -> None:
    if code in NEVER and not (code is ParkCode.KEY_REUSED and world.drawn.other_bytes):
        raise Violation("L1", f"{path} is parked as {code}, though every participant keeps the contract")
    step = row.plan.steps.get(template(path))
    doubtful = step is None or step.command.effect in (Effect.AT_MOST_ONCE, Effect.PROBE)
    if code is ParkCode.IN_DOUBT and not (doubtful or world.drawn.cannot_tell):
        raise Violation("L1", f"{path} is in doubt although its effect is {step.command.effect if step else ''}")
