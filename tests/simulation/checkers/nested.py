"""Counts what happened inside what: a construct that was never drawn, failed or undone in another proves nothing.

The words of the marks: `drawn X`, `drawn X in Y`, and what struck while a step stood in Y, at any depth.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.address import template
from saga.core.blocks import Approval, Await, Block, Each, Join, OnBranchFailed, Parallel, Step, children
from saga.core.children import SERVICE
from saga.core.messages import Kind
from saga.core.plan import Plan
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row

if TYPE_CHECKING:
    from tests.simulation.world import World

AROUND = ("when", "attempt", "parallel", "parallel any", "each", "repeat", "within")
LEAVES = ("step", "child", "sleep", "await", "approval", "gate")
STRUCK = ("failed", "stopped", "undone", "killed")

WANTED = (
    *(f"drawn {kind}" for kind in (*AROUND, *LEAVES)),
    *(f"drawn {inner} in {outer}" for inner in AROUND for outer in AROUND),
    *(f"drawn {inner} in {outer}" for inner in LEAVES for outer in AROUND),
    *(f"{struck} in {outer}" for struck in STRUCK for outer in AROUND),
    "an any-join with losers to undo",
    "an attempt around items goes the other way",
    "a failure beside what is under way",
    "a failure that others are awaited for",
    "more items than allowed",
    "a second request for approval",
    "a child below a child",
    "a child detached",
    "a child passes the point of no return",
    "a child after the point of no return",
    "a completed child is undone",
    "a running child is cancelled",
    "a running child is awaited, then undone",
    "a child below a child is undone",
)
"""What a long run over every construct must have met at least once."""

_KNOWN: dict[str, dict[str, tuple[str, ...]]] = {}
"""By the definition's hash: of every template path, its own word and those of what is around it."""


def on_commit(world: "World", row: Row, commit: Commit, shadow: Shadow) -> None:
    """One commit's worth; the shadow is that of the commit before."""
    marks = world.marks
    if isinstance(commit.events[0], e.SagaStarted):
        for name in _drawn(row.plan, commit.events[0]):
            marks[name] += 1
    for event in commit.events:
        for name in _special(row, event, shadow):
            marks[name] += 1


def killed(world: "World", sagas: list[str]) -> None:
    """A process that worked on these sagas died."""
    world.marks["orchestrator died"] += 1
    for row in (world.store.rows[saga] for saga in sagas if saga in world.store.rows):
        state = row.state
        if not state.terminal:
            open_steps = [path for path, step in state.steps.items() if step.action.outcome is None]
            world.marks.update(_inside(row.plan, "killed", (*open_steps, *state.pending, *state.requests)))


def _drawn(plan: Plan, started: e.SagaStarted) -> Iterator[str]:
    names: set[str] = set()
    for word, *around in _words(plan).values():
        names |= {f"drawn {word}", *(f"drawn {word} in {outer}" for outer in around)}
    yield from names
    if started.depth == 2:
        yield "a child below a child"


def _special(row: Row, event: e.AnyEvent, shadow: Shadow) -> Iterator[str]:  # noqa: C901 - a match, one line a case
    plan = row.plan
    match event:
        case e.BlockFailed():
            yield from _inside(plan, "failed", [event.step])
            if any("each" in _words(plan)[template(path)] for path in _below(event.path, shadow)):
                yield "an attempt around items goes the other way"
        case e.CompensationStarted():
            yield from _stopped(row, event, shadow)
        case e.CommandIssued(kind=Kind.COMPENSATION):
            yield from _inside(plan, "undone", [event.path])
        case e.CommandIssued() if plan.step(event.path).command.service == SERVICE:
            yield from _child(plan.step(event.path))
        case e.BranchChosen():
            lost = (path for other in event.others for path in _below(other, shadow))
            if any(shadow.acts[path].outcome != "failed" for path in lost):
                yield "an any-join with losers to undo"
        case e.StepParked(code=e.ParkCode.ITEMS):
            yield "more items than allowed"
        case e.ApprovalRequested() if event.number > 1:
            yield "a second request for approval"
        case e.StepFailed():
            yield from _beside(plan, event.path, shadow)
        case _:
            pass


def _stopped(row: Row, event: e.CompensationStarted, shadow: Shadow) -> Iterator[str]:
    """What a saga was in the middle of when it turned round."""
    if event.path and event.because != "operator":
        yield from _inside(row.plan, "failed", [event.path])
        return
    under_way = [path for path, act in shadow.acts.items() if act.outcome is None]
    yield from _inside(row.plan, "stopped", (*under_way, *row.state.pending, *row.state.requests))
    if row.state.parent is None:
        return
    if row.state.depth > 1:
        yield "a child below a child is undone"
    if event.because == "parent":
        completed = shadow.ended is e.SagaCompleted
        yield "a completed child is undone" if completed else "a running child is awaited, then undone"
    elif event.because == "cancelled" and row.state.asked_by and row.state.asked_by.kind is Kind.COMPENSATION:
        yield "a running child is cancelled"


def _child(step: Step) -> Iterator[str]:
    if step.kind == "pivot":
        yield "a child passes the point of no return"
    elif step.kind == "retryable":
        yield "a child after the point of no return"
    elif step.undo is None:
        yield "a child detached"


def _beside(plan: Plan, path: str, shadow: Shadow) -> Iterator[str]:
    """A step fails in a block whose other branches or items are under way."""
    for around in plan.blocks.values():
        if not isinstance(around, Parallel | Each) or template(path) not in _paths(around):
            continue
        others = (p for p, act in shadow.acts.items() if p != path and act.outcome is None)
        if any(template(other) in _paths(around) for other in others):
            stops = around.on_failed is OnBranchFailed.STOP and getattr(around, "join", Join.ALL) is Join.ALL
            yield "a failure beside what is under way" if stops else "a failure that others are awaited for"


def _below(scope: str, shadow: Shadow) -> Iterator[str]:
    for path in shadow.acts:
        if any(around.path == template(scope) for around in shadow.plan.scopes[template(path)]):
            yield path


def _inside(plan: Plan, struck: str, paths: Iterable[str]) -> set[str]:
    words = _words(plan)
    return {f"{struck} in {outer}" for path in paths for outer in words.get(template(path), ("",))[1:]}


def _words(plan: Plan) -> dict[str, tuple[str, ...]]:
    if plan.hash not in _KNOWN:
        _KNOWN[plan.hash] = {}
        _visit(plan.definition.blocks, (), _KNOWN[plan.hash])
    return _KNOWN[plan.hash]


def _visit(blocks: tuple[Block, ...], around: tuple[str, ...], found: dict[str, tuple[str, ...]]) -> None:
    for block in blocks:
        found[block.path] = (_word(block), *around)
        for inner in children(block):
            _visit(inner, found[block.path], found)


def _word(block: Block) -> str:
    match block:
        case Step():
            return "child" if block.command.service == SERVICE else "step"
        case Approval():
            return "gate" if block.guards is None else "approval"
        case Await():
            return "await"
        case Parallel(join=Join.ANY):
            return "parallel any"
        case _:
            return type(block).__name__.lower()


def _paths(block: Block) -> set[str]:
    found: set[str] = set()
    for sequence in children(block):
        for inner in sequence:
            found |= {inner.path} | _paths(inner)
    return found
