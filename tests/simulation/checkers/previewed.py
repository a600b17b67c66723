"""What `saga compensate --preview` says is what then happens: an allowed order, the same commands, nothing else."""

from datetime import datetime
from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.evolve import evolve, next_commit
from saga.core.messages import Kind
from saga.core.preview import PlannedUndo, Preview, preview
from saga.core.state import Phase
from tests.simulation.checkers import order
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def on_commit(world: "World", row: Row, commit: Commit, shadow: Shadow) -> None:
    """A saga turns round: compare what would have been said just before. The shadow is that of the commit before."""
    begun = next((n for n, event in enumerate(commit.events) if isinstance(event, e.CompensationStarted)), None)
    if begun is None or row.version < 2 or row.commits[-2].state.phase is not Phase.RUNNING:
        return
    state, scout = next_commit(row.commits[-2].state), shadow.fork()
    for event in commit.events[:begun]:
        state = evolve(state, event)
        scout.clock += 1
        scout.event(event)
    decided_at = commit.events[begun].at  # by a clock that may be an hour off: whoever looks has the same
    said = preview(row.plan, state, decided_at)
    if said.takes_effect not in ("now", "if-pivot-fails"):
        raise Violation("preview", f"{row.saga} is compensated, and the preview says {said.takes_effect}")
    under_way = {path for path, undo in scout.undos.items() if undo.open}
    _is_allowed(row, said, scout, decided_at)
    if row.state.paused_at is None:
        _begins_like_it(said, commit.events[begun + 1 :], under_way)
    world.checkers.previews[row.saga] = {undo.path for stage in said.stages for undo in stage}
    world.marks["previewed"] += 1
    world.marks["previewed in stages"] += len(said.stages) > 1


def at_end(world: "World", row: Row, shadow: Shadow) -> None:
    """Undone is what was said, but for what turned out not to have happened."""
    said = world.checkers.previews.get(row.saga)
    if said is None or shadow.ended is not e.SagaCompensated:
        return
    more = shadow.undone - said - shadow.given_up
    if more:
        raise Violation(
            "preview", f"{', '.join(sorted(more))} of {row.saga} was undone, and the preview did not say so"
        )
    for path in said - shadow.undone:
        if shadow.acts[path].outcome != "failed":
            raise Violation("preview", f"{path} of {row.saga} was to be undone, and was not")


def _is_allowed(row: Row, said: Preview, scout: Shadow, now: datetime) -> None:
    """Issue and acknowledge, stage by stage, what was said, under the law of order."""
    scout.event(e.CompensationStarted(at=now, because="preview"))
    for stage in said.stages:
        scout.parked |= {undo.path: Kind.COMPENSATION for undo in stage if undo.parks}
        for undo in stage:
            before = scout.undos.get(undo.path)
            if before is None or not before.open:  # else it is under way since before
                _issue(undo, scout, now)
        for undo in stage:
            scout.event(e.CompensationSucceeded(at=now, path=undo.path, execution=1))
    left = scout.to_undo()
    if left:
        raise Violation("preview", f"{', '.join(left)} of {row.saga} is to be undone, and the preview does not say so")


def _issue(undo: PlannedUndo, scout: Shadow, now: datetime) -> None:
    issued = e.CommandIssued(
        at=now,
        path=undo.path,
        kind=Kind.COMPENSATION,
        execution=1,
        body=undo.body,
        due_at=now,
        undoes=scout.acts[undo.path].number,
        undoes_outcome=undo.outcome,
    )
    if not undo.parks:
        order.check(issued, scout)
    scout.clock += 1
    scout.event(issued)


def _begins_like_it(said: Preview, then: tuple[e.AnyEvent, ...], under_way: set[str]) -> None:
    """What is sent at once is the first stage, byte by byte."""
    sent = {
        event.path: bytes(event.body)
        for event in then
        if isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION
    }
    first: tuple[PlannedUndo, ...] = said.stages[0] if said.stages else ()
    told = {undo.path: bytes(undo.body) for undo in first if not undo.parks and undo.path not in under_way}
    if sent != told:
        raise Violation("preview", f"{sorted(sent)} is undone first, and the preview says {sorted(told)}")
