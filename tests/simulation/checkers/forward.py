"""A step is begun only when everything before it on its way is through, and no more items run than may."""

from saga.core import events as e
from saga.core.address import address_of, instance, template
from saga.core.blocks import Each
from saga.core.messages import Kind
from tests.simulation.checkers.chains import comes_after
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit
from tests.simulation.violation import Violation


def on_commit(commit: Commit, shadow: Shadow) -> None:
    """Every action that was issued in this commit, and every list that was frozen."""
    for event in commit.events:
        if isinstance(event, e.MapStarted):
            block = shadow.plan.blocks[template(event.path)]
            if isinstance(block, Each) and len(event.items) > block.limit:
                raise Violation("limit", f"{event.path} runs over {len(event.items)} items, at most {block.limit}")
    if not any(isinstance(event, e.CommandIssued) and event.kind is Kind.ACTION for event in commit.events):
        return
    scout = shadow.fork()
    for event in commit.events:
        if isinstance(event, e.CommandIssued) and event.kind is Kind.ACTION:
            _check(event.path, scout)
        scout.clock += 1
        scout.event(event)


def _check(path: str, shadow: Shadow) -> None:
    for other, act in shadow.acts.items():
        if not comes_after(shadow.plan, path, other):
            continue
        if not _was_given_up(shadow, other):
            if act.outcome != "ok":
                raise Violation("order", f"{path} is begun, but {other} before it is {act.outcome or 'not answered'}")
        elif other in shadow.to_undo():
            raise Violation("order", f"{path} is begun, but {other}, which was given up, is not undone")
    _in_the_window(path, shadow)


def _was_given_up(shadow: Shadow, path: str) -> bool:
    at = address_of(path)
    return any(instance(scope.path, at) in shadow.blocks for scope in shadow.plan.scopes[template(path)])


def _in_the_window(path: str, shadow: Shadow) -> None:
    at = address_of(path)
    for block in shadow.plan.blocks.values():
        if not isinstance(block, Each) or not template(path).startswith(f"{block.path}/"):
            continue
        here = instance(block.path, at)
        busy = {
            _item(here, other)
            for other, act in shadow.acts.items()
            if other.startswith(f"{here}[") and act.outcome is None and not _was_given_up(shadow, other)
        }
        beside = busy - {_item(here, path)}
        if len(beside) >= block.window:
            raise Violation("window", f"{path} is begun beside {len(beside)} other items of {here}")


def _item(block: str, path: str) -> str:
    return path[: path.index("]", len(block)) + 1]
