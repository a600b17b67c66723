"""The laws, one a module: each looks at commits, at messages, at effects, or at the end, and raises Violation."""

from typing import TYPE_CHECKING

from saga.core.events import ApprovalRequested, StepReleased, WaitStarted
from saga.core.messages import CommandMessage
from saga.core.plan import Plan
from saga.core.state import SagaState
from tests.simulation.checkers import (
    absorbing,
    accepted,
    children,
    compensated,
    completed,
    elapsed,
    fold,
    forward,
    gapless,
    joins,
    liveness,
    nested,
    once,
    order,
    pivot,
    previewed,
    replay,
    screened,
    spurious,
    timers,
    waiting,
    wire,
)
from tests.simulation.checkers.costs import Costs
from tests.simulation.checkers.people import People
from tests.simulation.checkers.seen import note
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.ledger import Entry
from tests.simulation.store import Commit, Row

if TYPE_CHECKING:
    from tests.simulation.world import World


class Checkers:
    """All of them, and the shadow of each saga they share."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.shadows: dict[str, Shadow] = {}
        self.people: dict[str, People] = {}
        self.costs = Costs(world)
        self.previews: dict[str, set[str]] = {}
        """Of each saga that turned round, what the preview said just before."""

    def on_commit(self, row: Row, commit: Commit) -> None:
        """A commit was appended."""
        shadow = self.shadows.get(row.saga)
        if shadow is None:
            shadow = self.shadows[row.saga] = Shadow(row.saga, row.plan)
        note(self.world, row, commit, shadow)
        nested.on_commit(self.world, row, commit, shadow)
        gapless.on_commit(row, commit)
        absorbing.on_commit(commit, shadow)
        screened.on_commit(self.world, commit)
        timers.on_commit(self.world, row, commit)
        elapsed.on_commit(self.world, row, commit, shadow)
        order.on_commit(commit, shadow)
        forward.on_commit(commit, shadow)
        pivot.on_commit(commit, shadow)
        previewed.on_commit(self.world, row, commit, shadow)
        self._people(row).on_commit(self.world, row, commit, shadow)
        kinds = {type(event) for event in commit.events}
        if ApprovalRequested in kinds or {StepReleased, WaitStarted} <= kinds:
            self.world.outsiders.notified(row)
        self.world.pauses.noticed(row, commit)
        self.costs.on_commit(row, commit)
        shadow.take(commit)
        joins.on_commit(row, commit, shadow)
        children.on_commit(self.world, row, commit)
        compensated.on_commit(self.world, row, shadow, commit)
        waiting.on_commit(row, commit)

    def _people(self, row: Row) -> People:
        if row.saga not in self.people:
            self.people[row.saga] = People()
        return self.people[row.saga]

    def on_publish(self, plan: Plan, state: SagaState, message: CommandMessage) -> None:
        """A command is about to leave, of a state its sender believes in."""
        wire.on_publish(self.world, self.shadows.get(state.saga), plan, state, message)

    def on_effect(self, entry: Entry, command: CommandMessage) -> None:
        """The outside world changed."""
        shadow = self.shadows.get(entry.saga)
        if shadow is None:
            return  # of a saga nobody recorded yet: the wire checker has its message
        once.on_effect(entry, command, shadow)
        compensated.on_effect(self.world, entry, shadow)

    def at_end(self) -> None:
        """Everything is at rest."""
        for row in self.world.store.rows.values():
            shadow = self.shadows[row.saga]
            fold.at_end(row)
            replay.at_end(self.world, row)
            completed.at_end(self.world, row, shadow)
            children.at_end(self.world, row)
            previewed.at_end(self.world, row, shadow)
            compensated.at_end(self.world, row, shadow)
            liveness.at_end(self.world, row, shadow)
            spurious.at_end(self.world, row, shadow)
            self.costs.at_end(row)
        accepted.at_end(self.world)
        wire.at_end(self.world, self.shadows)
