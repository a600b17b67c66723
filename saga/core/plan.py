"""Plan: a definition with its blocks indexed by path, made once and shared by every saga of that definition."""

import msgspec

from saga.core.address import address_of, instance, template
from saga.core.blocks import (
    Approval,
    Attempt,
    Await,
    Block,
    Branch,
    CommandTemplate,
    Parallel,
    Step,
    StepKind,
    children,
)
from saga.core.definition import Definition
from saga.core.messages import Kind
from saga.core.state import Execution, Phase, SagaState

Scope = Attempt | Branch
"""What may be given up while the saga goes on: its steps are undone then."""


class Plan(msgspec.Struct, frozen=True):
    """What the core asks a definition again and again. Every path here is a template path."""

    definition: Definition
    hash: str
    steps: dict[str, Step]
    """By path, in the order written."""
    blocks: dict[str, Block]
    scopes: dict[str, tuple[Scope, ...]]
    """For each block, the branches and the bodies of attempt blocks it stands in, innermost first."""
    pivots: tuple[str, ...]
    guards: dict[str, Approval]
    """By the step whose command is approved."""
    awaits: dict[str, tuple[Await, ...]]
    """By the name of the signal."""

    def step(self, path: str) -> Step:
        """The step at an instance path, which its `path` names. Raises KeyError."""
        plain = template(path)
        step = self.steps[plain]
        return step if plain == path else msgspec.structs.replace(step, path=path)


def plan_of(definition: Definition, content_hash: str) -> Plan:
    """Index a definition."""
    blocks: dict[str, Block] = {}
    scopes: dict[str, tuple[Scope, ...]] = {}

    def visit(sequence: tuple[Block, ...], inside: tuple[Scope, ...]) -> None:
        for block in sequence:
            blocks[block.path] = block
            scopes[block.path] = inside
            for position, inner in enumerate(children(block)):
                visit(inner, (*_given_up_with(block, position), *inside))

    visit(definition.blocks, ())
    steps = {path: block for path, block in blocks.items() if isinstance(block, Step)}
    awaits: dict[str, tuple[Await, ...]] = {}
    for block in blocks.values():
        if isinstance(block, Await):
            awaits[block.signal] = (*awaits.get(block.signal, ()), block)
    return Plan(
        definition=definition,
        hash=content_hash,
        steps=steps,
        blocks=blocks,
        scopes=scopes,
        pivots=tuple(path for path, step in steps.items() if step.kind is StepKind.PIVOT),
        guards={b.guards: b for b in blocks.values() if isinstance(b, Approval) and b.guards is not None},
        awaits=awaits,
    )


def _given_up_with(block: Block, position: int) -> tuple[Scope, ...]:
    match block:
        case Attempt():
            return (block,) if position == 0 else ()
        case Parallel():
            return (block.branches[position],)
        case _:
            return ()


def template_of(step: Step, execution: Execution) -> CommandTemplate:
    """The command an execution was made from."""
    if execution.kind is Kind.ACTION:
        return step.command
    unknown = execution.built_for == "unknown"
    template = (step.undo_unknown if unknown else None) or step.undo
    if template is None:
        raise ValueError(f"{step.path} has a compensation but its definition names none")
    return template


def pivot_undecided(plan: Plan, state: SagaState) -> bool:
    """The pivot was issued and has neither a definite ok nor a definite failed: nothing may be undone now."""
    return any(path in state.steps and state.steps[path].action.outcome is None for path in plan.pivots)


def pivot_passed(plan: Plan, state: SagaState) -> bool:
    """The point of no return is behind us."""
    return any(path in state.steps and state.steps[path].action.outcome == "ok" for path in plan.pivots)


def given_up(plan: Plan, state: SagaState, path: str) -> bool:
    """A block around this instance path is being undone, or was, while the saga goes another way."""
    if not state.blocks:
        return False
    at = address_of(path)
    return any(instance(scope.path, at) in state.blocks for scope in plan.scopes[template(path)])


def stands_in(plan: Plan, path: str, scope: str) -> bool:
    """Whether what stands at an instance path is given up with that branch or attempt block."""
    at = address_of(path)
    return any(instance(around.path, at) == scope for around in plan.scopes.get(template(path), ()))


def released_with(plan: Plan, state: SagaState, *scopes: str) -> tuple[str, ...]:
    """What was parked on the way forward in branches or attempt blocks: nobody needs to look once they are given up.

    A step that may have happened is undone as unknown, as it is when the whole saga compensates.
    """
    forward = [path for path, parked in state.parked.items() if parked.kind is Kind.ACTION]
    return tuple(path for path in forward if any(stands_in(plan, path, scope) for scope in scopes))


def wanted(plan: Plan, state: SagaState, path: str) -> bool:
    """The saga is going forward, and what stands at this instance path is part of its way."""
    return state.phase is Phase.RUNNING and not given_up(plan, state, path)


def pursued(plan: Plan, state: SagaState, step: Step, execution: Execution) -> bool:
    """The saga still wants this execution's answer: it is sent again, and it may time out.

    An action is given up, whatever its outcome, when the saga compensates or a block around it gave up.
    """
    if execution.outcome is not None:
        return False
    return execution.kind is Kind.COMPENSATION or wanted(plan, state, step.path)
