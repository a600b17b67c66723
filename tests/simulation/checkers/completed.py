"""S8: completed means that every required step took effect once, and that nothing was undone outside a failed block."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from saga.contract import Effect
from saga.core import events as e
from saga.core.blocks import Attempt, Block, Step, When, children, steps_of
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def at_end(world: "World", row: Row, shadow: Shadow) -> None:
    """Compare the books with the way the saga took."""
    if shadow.ended is not e.SagaCompleted:
        return
    net = _net(world, row)
    for step in _way(shadow, row.plan.definition.blocks):
        effect = 0 if step.command.effect is Effect.READ_ONLY else 1
        if net.get(step.path, 0) != effect:
            raise Violation("S8", f"completed, but {step.path} has the effect {net.get(step.path, 0)}")
        if step.path in shadow.undone:
            raise Violation("S8", f"completed, but {step.path} was undone")
    for step in _given_up(shadow, row.plan.definition.blocks):
        if step.undo is not None and net.get(step.path, 0):
            raise Violation("S8", f"completed another way, but {step.path} of the block that failed stands")


def _net(world: "World", row: Row) -> dict[str, int]:
    net: dict[str, int] = {}
    for entry in world.ledger.entries.values():
        if entry.saga == row.saga:
            net[entry.path] = net.get(entry.path, 0) + entry.net
    return net


def _way(shadow: Shadow, blocks: tuple[Block, ...]) -> Iterator[Step]:
    for block in blocks:
        match block:
            case Step():
                yield block
            case When():
                yield from _way(shadow, block.then if shadow.arms[block.path] else block.otherwise)
            case Attempt():
                yield from _way(shadow, block.otherwise if block.path in shadow.blocks else block.body)
            case _:
                for inner in children(block):
                    yield from _way(shadow, inner)


def _given_up(shadow: Shadow, blocks: tuple[Block, ...]) -> Iterator[Step]:
    for block in blocks:
        match block:
            case When():
                yield from _given_up(shadow, block.then + block.otherwise)
            case Attempt():
                if block.path in shadow.blocks:
                    yield from steps_of(block.body)
                yield from _given_up(shadow, block.body + block.otherwise)
            case _:
                for inner in children(block):
                    yield from _given_up(shadow, inner)
