"""What a failure does to what runs beside it: it stops it at once, or waits for it, as the definition says."""

from collections.abc import Iterator

from saga.core import events as e
from saga.core.address import address_of, instance, template
from saga.core.blocks import Block, Each, Join, OnBranchFailed, Parallel, Within, children
from saga.core.plan import Plan
from saga.core.state import Phase
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

BY_ITSELF = ("failed", "exhausted", "rejected", "expired", "deadline", "limit")

_KNOWN: dict[str, dict[str, dict[str, str]]] = {}
"""By the definition's hash and a block with branches or items: of every template path in it, its branch."""


def on_commit(row: Row, commit: Commit, shadow: Shadow) -> None:
    """The shadow is that after the commit."""
    for event in commit.events:
        match event:
            case e.BlockFailed():
                _all_came_to_rest(row, event.step, shadow, within=event.path)
            case e.CompensationStarted():
                if event.path and event.because in BY_ITSELF:
                    _all_came_to_rest(row, event.path, shadow)
                _unfinished_at_once(row, commit, shadow)
            case _:
                pass
    if row.state.phase is Phase.RUNNING and row.state.paused_at is None:
        _nothing_goes_on_beside_a_failure(row, shadow)


def _all_came_to_rest(row: Row, failed: str, shadow: Shadow, within: str = "") -> None:
    """Where the others are let finish, none of them is under way when the block fails."""
    plan, at = row.plan, address_of(failed)
    for block in _around(plan, failed):
        lanes = _lanes(plan, block)
        if _stops(block) or (within and template(within) in lanes):
            continue
        here = instance(block.path, at)
        for path, act in shadow.acts.items():
            beside = template(path) in lanes and instance(block.path, address_of(path)) == here
            if not beside or _lane(block, here, path, lanes) == _lane(block, here, failed, lanes):
                continue
            if act.outcome is None and not _is_at_rest(row, block, path) and not _was_given_up(shadow, path):
                raise Violation("join", f"{here} fails by {failed} while {path} beside it is under way")


def _is_at_rest(row: Row, block: Parallel | Each, path: str) -> bool:
    """It gave up, its time is over, or it stands beside something that ended the block it is in."""
    plan, at, state = row.plan, address_of(path), row.state
    if state.steps[path].action.exhausted:
        return True
    deadlines = (instance(each.path, at) for each in plan.blocks.values() if isinstance(each, Within))
    if any(state.waited.get(here) is e.WaitEnd.ELAPSED and _holds(plan, here, path) for here in deadlines):
        return True
    return any(each.path in _lanes(plan, block) and _stops(each) for each in _around(plan, path))


def _holds(plan: Plan, within: str, path: str) -> bool:
    return template(path) in _paths(children(plan.blocks[template(within)])[0])


def _unfinished_at_once(row: Row, commit: Commit, shadow: Shadow) -> None:
    """Whatever may have happened is undone side by side; only one that was passed over before holds it up."""
    issued = {event.path for event in commit.events if isinstance(event, e.CommandIssued)}
    if row.state.paused_at is not None or any(undo.open and path not in issued for path, undo in shadow.undos.items()):
        return
    for path in shadow.to_undo():
        if shadow.acts[path].outcome is None and path not in shadow.undos and path not in shadow.parked:
            raise Violation("S11", f"{path} of {row.saga} may have happened, and its undo waits for others")


def _nothing_goes_on_beside_a_failure(row: Row, shadow: Shadow) -> None:
    """A failure that nobody waits for has ended its block, and so everything up to who takes another way."""
    for path, act in shadow.acts.items():
        if act.outcome != "failed" or path in shadow.parked or template(path) in row.plan.guards:
            continue
        if _was_given_up(shadow, path) or not all(map(_stops, _around(row.plan, path))):
            continue
        raise Violation("join", f"{path} has failed, and {row.saga} goes on beside it")


def _around(plan: Plan, path: str) -> Iterator[Parallel | Each]:
    for block in plan.blocks.values():
        if isinstance(block, Parallel | Each) and template(path) in _lanes(plan, block):
            yield block


def _stops(block: Parallel | Each) -> bool:
    return block.on_failed is OnBranchFailed.STOP and getattr(block, "join", Join.ALL) is Join.ALL


def _lane(block: Parallel | Each, here: str, path: str, lanes: dict[str, str]) -> str:
    """The branch or the item a path stands in."""
    if isinstance(block, Parallel):
        return lanes[template(path)]
    return path[: path.index("]", len(here)) + 1]


def _lanes(plan: Plan, block: Parallel | Each) -> dict[str, str]:
    known = _KNOWN.setdefault(plan.hash, {})
    if block.path not in known:
        lanes: dict[str, str] = {}
        for number, sequence in enumerate(children(block)):
            lanes |= dict.fromkeys(_paths(sequence), str(number))
        known[block.path] = lanes
    return known[block.path]


def _paths(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block in blocks:
        yield block.path
        for inner in children(block):
            yield from _paths(inner)


def _was_given_up(shadow: Shadow, path: str) -> bool:
    at = address_of(path)
    return any(instance(scope.path, at) in shadow.blocks for scope in shadow.plan.scopes[template(path)])
