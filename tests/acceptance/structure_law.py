"""What must be true of a ledger when a saga of `tests.acceptance.structure` is undone: judged from its lines alone.

The order comes from the definitions as they are written: what stands one after the other and what side by side.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import msgspec

from saga.core.plan import plan_of
from tests.acceptance.structure import built, ready, slow
from tests.simulation.checkers.chains import Chain, chain

DO, UNDO, DECLINE = "do", "undo", "decline"
ROOT = plan_of(built.compiled, built.hash)
CHILDREN = {"access": plan_of(ready.compiled, ready.hash), "slowly": plan_of(slow.compiled, slow.hash)}
"""By the step that starts them."""


class Line(msgspec.Struct, frozen=True):
    """One line of a service's ledger, in the order of their writing."""

    step: str
    """A path from the root: `access/pack` stands in the sub-saga of the step `access`."""
    what: str
    key: str


def wrong(lines: Sequence[Line]) -> list[str]:
    """Everything that must not be in the ledger of one family that has ended compensated."""
    at = {(line.what, line.step): number for number, line in reversed(list(enumerate(lines)))}
    done = {step: number for (what, step), number in at.items() if what == DO}
    undone = {step: number for (what, step), number in at.items() if what == UNDO}
    return [
        *_twice(lines),
        *_not_undone(done, undone),
        *_out_of_turn(done),
        *_not_in_reverse(undone),
        *_before_the_unfinished(done, undone),
    ]


def unfinished(lines: Sequence[Line]) -> int:
    """How many effects happened after the failure was said: what was in flight then."""
    what = [line.what for line in lines]
    return what[what.index(DECLINE) :].count(DO) if DECLINE in what else 0


def _twice(lines: Sequence[Line]) -> Iterator[str]:
    """One key, one effect; one step, one execution: nobody repairs anything here."""
    for (what, step), count in Counter((line.what, line.step) for line in lines).items():
        if count > 1:
            yield f"'{what} {step}' happened {count} times"
    for (what, key), count in Counter((line.what, line.key) for line in lines).items():
        if count > 1:
            yield f"'{what}' happened {count} times under the key {key}"


def _not_undone(done: Mapping[str, int], undone: Mapping[str, int]) -> Iterator[str]:
    for step in sorted(done.keys() ^ undone.keys()):
        yield f"{step} was done and not undone" if step in done else f"{step} was undone and never done"
    for step in sorted(done.keys() & undone.keys()):
        if undone[step] < done[step]:
            yield f"{step} was undone before it was done"


def _out_of_turn(done: Mapping[str, int]) -> Iterator[str]:
    """Forward: what stands behind something is done after it."""
    for later, earlier in _pairs(done):
        if done[later] < done[earlier]:
            yield f"{later} was done before {earlier}"


def _not_in_reverse(undone: Mapping[str, int]) -> Iterator[str]:
    """Backward: what stands behind something is undone before it; a sub-saga is one thing in that."""
    for later, earlier in _pairs(undone):
        if undone[later] > undone[earlier]:
            yield f"{earlier} was undone before {later}"


def _before_the_unfinished(done: Mapping[str, int], undone: Mapping[str, int]) -> Iterator[str]:
    """What was certainly finished is not undone while something that was in flight has not even happened.

    Something was certainly finished when a step behind it was done. An answer and the undo that crosses it hide more
    than this from a ledger: the simulator, which sees both, judges that.
    """
    for step, number in undone.items():
        if any(after(other, step) and _unit(other) != _unit(step) for other in done):
            for other in sorted(done):
                if done[other] > number:
                    yield f"{step} was undone, and {other} had not happened yet"


def after(later: str, earlier: str) -> bool:
    """One is begun only when the other is through."""
    for (kind, mine), (_, other) in zip(_way(later), _way(earlier), strict=False):
        if mine != other:
            return kind == "then" and mine > other
    return False


def _unit(step: str) -> str:
    """What the root sees of it: a sub-saga is one thing."""
    first = step.partition("/")[0]
    return first if first in CHILDREN else step


@cache
def _way(step: str) -> Chain:
    """From the top of the root to here."""
    unit = _unit(step)
    return chain(ROOT, unit) + (() if unit == step else chain(CHILDREN[unit], step.removeprefix(f"{unit}/")))


def _pairs(steps: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for later in sorted(steps):
        for earlier in sorted(steps):
            if after(later, earlier):
                yield later, earlier
