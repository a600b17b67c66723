"""Plan: a definition with its steps indexed by path, made once and shared by every saga of that definition."""

import msgspec

from saga.core.definition import Attempt, Block, Definition, Step, StepKind, children
from saga.core.messages import Kind
from saga.core.state import Execution, Phase, SagaState


class Plan(msgspec.Struct, frozen=True):
    """What the core asks a definition again and again."""

    definition: Definition
    hash: str
    steps: dict[str, Step]
    """By path, in the order written."""
    scopes: dict[str, tuple[Attempt, ...]]
    """For each step, the attempt blocks whose body it stands in, innermost first."""
    pivots: tuple[str, ...]


def plan_of(definition: Definition, content_hash: str) -> Plan:
    """Index a definition."""
    steps: dict[str, Step] = {}
    scopes: dict[str, tuple[Attempt, ...]] = {}

    def visit(blocks: tuple[Block, ...], inside: tuple[Attempt, ...]) -> None:
        for block in blocks:
            if isinstance(block, Step):
                steps[block.path] = block
                scopes[block.path] = inside
            for position, sequence in enumerate(children(block)):
                in_body = isinstance(block, Attempt) and position == 0
                visit(sequence, (block, *inside) if isinstance(block, Attempt) and in_body else inside)

    visit(definition.blocks, ())
    pivots = tuple(path for path, step in steps.items() if step.kind is StepKind.PIVOT)
    return Plan(definition, content_hash, steps, scopes, pivots)


def pivot_undecided(plan: Plan, state: SagaState) -> bool:
    """The pivot was issued and has neither a definite ok nor a definite failed: nothing may be undone now."""
    return any(path in state.steps and state.steps[path].action.outcome is None for path in plan.pivots)


def pivot_passed(plan: Plan, state: SagaState) -> bool:
    """The point of no return is behind us."""
    return any(path in state.steps and state.steps[path].action.outcome == "ok" for path in plan.pivots)


def pursued(plan: Plan, state: SagaState, step: Step, execution: Execution) -> bool:
    """The saga still wants this execution's answer: it is sent again, and it may time out.

    An action is given up, whatever its outcome, when the saga compensates or an attempt block around it gave up.
    """
    if execution.outcome is not None:
        return False
    if execution.kind is Kind.COMPENSATION:
        return True
    if state.phase is not Phase.RUNNING:
        return False
    return not (state.blocks and any(scope.path in state.blocks for scope in plan.scopes[step.path]))
