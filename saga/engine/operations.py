"""Counting what no orchestrator committed: operators' words and people's decisions, at a command line or in a program.

Such a process is gone before anybody asks it for numbers. Whoever follows the history sees its commits among all
others, by their cause, and counts these alone: an orchestrator has counted its own.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from saga.core.metrics import catalogue as m
from saga.core.metrics.fold import count
from saga.core.metrics.shape import OTHER
from saga.core.metrics.tally import Tallies
from saga.engine.measures import Committed
from saga.engine.operate import BY_OPERATOR

VERBS: Final = frozenset({"cancel", "abandon", "pause", "resume", "resolve", "decision", "redrive"})


class Operation(msgspec.Struct, frozen=True, eq=False):
    """One such commit."""

    verb: str
    committed: Committed


def verb_of(cause: str) -> str | None:
    """What was done, as a label; None for what an orchestrator committed."""
    if not cause.startswith(BY_OPERATOR):
        return None
    verb = cause.removeprefix(BY_OPERATOR).partition(" ")[0]
    return verb if verb in VERBS else OTHER


class Operations:
    """Counts each once in a process; without tallies it counts nothing."""

    def __init__(self, tallies: Tallies | None) -> None:
        self._tallies = tallies
        self._last: frozenset[tuple[str, int]] = frozenset()
        """Of the last batch. When its cursor could not be saved, the next batch begins with the same commits."""

    def count(self, operations: Sequence[Operation]) -> None:
        """Those of one batch."""
        if self._tallies is None:
            return
        found = {(each.committed.after.saga, each.committed.after.version): each for each in operations}
        for key, each in found.items():
            if key not in self._last:
                self._count(self._tallies, each)
        self._last = frozenset(found)

    def _count(self, tallies: Tallies, operation: Operation) -> None:
        done = operation.committed
        tallies.add(m.OPERATIONS, (done.after.name, operation.verb))
        count(tallies, done.plan, done.before, done.after, done.events)
