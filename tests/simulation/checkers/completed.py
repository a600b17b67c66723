"""S8: completed means that every required step took effect once, and that nothing was undone outside a failed block."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from saga.contract import Effect
from saga.core import events as e
from saga.core.address import TOP, Address, inside, instance
from saga.core.blocks import Attempt, Block, Each, Parallel, Repeat, Step, When, children
from saga.core.children import SERVICE
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
    way = dict(_way(shadow, row.plan.definition.blocks, TOP))
    for path, step in way.items():
        effect = 0 if step.command.effect is Effect.READ_ONLY or step.command.service == SERVICE else 1
        if net.get(path, 0) != effect:
            raise Violation("S8", f"completed, but {path} has the effect {net.get(path, 0)}")
        if path in shadow.undone:
            raise Violation("S8", f"completed, but {path} was undone")
    for path in shadow.acts.keys() - way.keys():
        if row.plan.step(path).undo is not None and net.get(path, 0):
            raise Violation("S8", f"completed another way, but {path}, which it gave up, stands")


def _net(world: "World", row: Row) -> dict[str, int]:
    net: dict[str, int] = {}
    for entry in world.ledger.entries.values():
        if entry.saga == row.saga:
            net[entry.path] = net.get(entry.path, 0) + entry.net
    return net


def _way(shadow: Shadow, blocks: tuple[Block, ...], at: Address) -> Iterator[tuple[str, Step]]:
    """Every step that had to take effect, by its instance path."""
    for block in blocks:
        if isinstance(block, Step):
            yield instance(block.path, at), block
        else:
            for sequence, around in _taken(shadow, block, at):
                yield from _way(shadow, sequence, around)


def _taken(shadow: Shadow, block: Block, at: Address) -> list[tuple[tuple[Block, ...], Address]]:
    here = instance(block.path, at)
    match block:
        case When():
            return [(block.then if shadow.arms[here] else block.otherwise, at)]
        case Attempt():
            return [(block.otherwise if here in shadow.blocks else block.body, at)]
        case Parallel():
            won = shadow.chosen.get(here)
            return [(b.body, at) for b in block.branches if won is None or instance(b.path, at) == won]
        case Each():
            return [(block.body, inside(block.path, at, f"[{index}]")) for index in range(shadow.items[here])]
        case Repeat():
            turns = range(1, shadow.turns[here] + 1)
            return [(block.body, inside(block.path, at, f"#{number}")) for number in turns]
        case _:
            return [(sequence, at) for sequence in children(block)]
