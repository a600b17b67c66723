"""Where two steps stand to each other, one after the other or side by side: told from the definition alone."""

import re

from saga.core.blocks import Attempt, Block, Each, Parallel, Repeat, When, children
from saga.core.plan import Plan

Link = tuple[str, int]
"""("then", position) where order counts, ("beside", position) where it does not."""
Chain = tuple[Link, ...]

_INDEX = re.compile(r"\[(\d+)\]|#(\d+)")
_KNOWN: dict[str, dict[str, Chain]] = {}
"""By the definition's hash: of every template path."""


def chain(plan: Plan, path: str) -> Chain:
    """The way from the top of the definition to an instance path."""
    numbers = [int(item or turn) for item, turn in _INDEX.findall(path)]
    found: list[Link] = []
    for kind, number in _links(plan, _INDEX.sub("", path)):
        found.append((kind, numbers.pop(0) if number < 0 else number))
    return tuple(found)


def comes_after(plan: Plan, later: str, earlier: str) -> bool:
    """The first one is begun only when the second one is through."""
    for (kind, mine), (_, other) in zip(chain(plan, later), chain(plan, earlier), strict=False):
        if mine != other:
            return kind == "then" and mine > other
    return False


def beside(plan: Plan, one: str, other: str) -> bool:
    """Neither waits for the other."""
    return one != other and not comes_after(plan, one, other) and not comes_after(plan, other, one)


def _links(plan: Plan, template: str) -> Chain:
    """Negative positions stand for the index in the path: of an item or a turn."""
    if plan.hash not in _KNOWN:
        found: dict[str, Chain] = {}
        _visit(plan.definition.blocks, (), found)
        _KNOWN[plan.hash] = found
    return _KNOWN[plan.hash][template]


def _visit(blocks: tuple[Block, ...], above: Chain, found: dict[str, Chain]) -> None:
    for position, block in enumerate(blocks):
        here: Chain = (*above, ("then", position))
        found[block.path] = here
        for number, inner in enumerate(children(block)):
            _visit(inner, (*here, *_inside(block, number)), found)


def _inside(block: Block, number: int) -> Chain:
    match block:
        case Parallel():
            return (("beside", number),)
        case Each():
            return (("beside", -1),)
        case Repeat():
            return (("then", -1),)
        case When() | Attempt():
            return (("then", number),)
        case _:
            return ()
