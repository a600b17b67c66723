"""Places of a run as a test names them: `seats/add` in every item, `seats[2]/add` in one, `draft#3/write` in a turn."""

from saga.core.address import template
from saga.core.blocks import Each, Parallel, Repeat, Step, children
from saga.core.definition import Block
from saga.core.plan import Plan
from saga.testing.answers import split


def is_step(plan: Plan, name: str) -> bool:
    """Whether this is a step of the definition, or its compensation; with every index around it, or with none."""
    path, _ = split(name)
    plain = template(path)
    if plain not in plan.steps:
        return False
    if plain == path:
        return True
    here = ""
    for part in path.split("/")[:-1]:
        here = f"{here}/{part}" if here else part
        block = plan.blocks.get(template(here))
        fits = (isinstance(block, Each) and part.endswith("]")) or (isinstance(block, Repeat) and "#" in part)
        if not fits:
            return False
    return "[" not in path.rpartition("/")[2] and "#" not in path.rpartition("/")[2]


def general(name: str) -> str:
    """The name that means every item and turn: `seats[2]/add.undo` is a `seats/add.undo`."""
    return template(name)


Chain = tuple[tuple[Block, int], ...]
"""The blocks around a step, outermost first, each with the number of its sequence."""


class SideBySide:
    """Which places of a run have no order among each other: those in different branches, or in different items."""

    def __init__(self, plan: Plan) -> None:
        self._chains: dict[str, Chain] = {}
        self._visit(plan.definition.blocks, ())

    def _visit(self, sequence: tuple[Block, ...], around: Chain) -> None:
        for block in sequence:
            if isinstance(block, Step):
                self._chains[block.path] = around
            for number, inner in enumerate(children(block)):
                self._visit(inner, (*around, (block, number)))

    def __call__(self, one: str, other: str) -> bool:
        """Of two steps, by their paths in the run."""
        pairs = zip(self._chains[template(one)], self._chains[template(other)], strict=False)
        for (block, number), (block_of_other, number_of_other) in pairs:
            if block is not block_of_other:
                return False
            if number != number_of_other:
                return isinstance(block, Parallel)
            if isinstance(block, Each | Repeat) and _index(block, one) != _index(block, other):
                return isinstance(block, Each)
        return False


def _index(block: Each | Repeat, path: str) -> str:
    """The item or turn of the block in which a path stands: `seats[2]`."""
    return path.split("/")[block.path.count("/")]
