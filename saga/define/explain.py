"""Says what a definition does when something fails: which steps are undone, in which order, and what comes next."""

from collections.abc import Iterator
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core.children import COMPENSATED, SERVICE, OnRunning
from saga.core.definition import (
    DEADLINE,
    EXHAUSTED,
    EXPIRED,
    LIMIT,
    REJECTED,
    Attempt,
    Block,
    Definition,
    Each,
    Join,
    OnExhausted,
    Parallel,
    Repeat,
    Step,
    StepKind,
    When,
    Within,
    canonical,
    children,
    content_hash,
)
from saga.core.evaluation import render
from saga.define.checks import raised_here
from saga.define.in_words import block_text, duration_text, kind_of
from saga.define.lint import lint
from saga.define.undo_order import (
    MAYBE,
    Frame,
    Undoing,
    Undone,
    around,
    has_pivot,
    in_words,
    under_way,
    undo_of,
)

CARRIED_OUT_ONCE = "It is never carried out twice: if its service cannot tell whether it happened, it parks."


class Consequence(msgspec.Struct, frozen=True):
    """What follows when a step or block fails for one reason."""

    reason: str
    """A failure code, or a reason of the engine: `exhausted`, `rejected`, `expired`, `deadline`, `limit`."""
    undo: tuple[Undoing, ...]
    """In the order in which the compensations are sent."""
    then: str
    """What the saga does next."""
    first: str = ""
    """What is undone before, because it may be unfinished: it is known only when it happens."""
    provided: str = ""
    """Empty, or what else must have failed."""


class ExplainedStep(msgspec.Struct, frozen=True):
    """A step, and what follows from each way it can fail."""

    path: str
    kind: StepKind
    command: str
    effect: str
    condition: str
    """Empty, or the blocks it stands in."""
    undo: str
    """Type name of its compensation, of a sub-saga also how; why there is none; empty where nothing is to undo."""
    attempts: str
    consequences: tuple[Consequence, ...]


class ExplainedBlock(msgspec.Struct, frozen=True):
    """A wait, an approval, or a block that may itself fail."""

    path: str
    kind: str
    """`sleep`, `signal`, `approval`, `parallel`, `each`, `repeat`, `within`."""
    text: str
    condition: str
    consequences: tuple[Consequence, ...]


def explained(definition: Definition) -> tuple[ExplainedStep | ExplainedBlock, ...]:
    """Every step, and every block that waits, asks, repeats or runs side by side, in the order written."""
    return tuple(_walk(definition.blocks, (), (None, 0), ""))


def explained_steps(definition: Definition) -> tuple[ExplainedStep, ...]:
    """Every step in the order written."""
    return tuple(found for found in explained(definition) if isinstance(found, ExplainedStep))


def explain_data(definition: Definition) -> dict[str, Any]:
    """The explanation as JSON-able data."""
    found = explained(definition)
    steps = [step for step in found if isinstance(step, ExplainedStep)]
    data: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(
            {
                "name": definition.name,
                "version": definition.version,
                "hash": content_hash(canonical(definition)),
                "input": definition.input_type,
                "output": definition.output_type,
                "deadline": definition.deadline,
                "pivot": [step.path for step in steps if step.kind is StepKind.PIVOT],
                "reads": definition.reads,
                "steps": steps,
                "blocks": [block for block in found if isinstance(block, ExplainedBlock)],
                "lints": lint(definition),
            }
        )
    )
    return data


def explain(definition: Definition) -> str:
    """The explanation as text."""
    found = explained(definition)
    pivots = [step.path for step in found if step.kind is StepKind.PIVOT]
    lines = [
        f"{definition.name} v{definition.version}: {definition.input_type} -> {definition.output_type}",
        f"  deadline {duration_text(definition.deadline)}; "
        + (
            f"point of no return: {' or '.join(pivots)}" if pivots else "no point of no return: all of it can be undone"
        ),
    ]
    for one in found:
        where = f" ({one.condition})" if one.condition else ""
        if isinstance(one, ExplainedBlock):
            lines += ["", f"{one.path}{where}: {one.text}"]
        else:
            lines += ["", f"{one.path}{where}: {one.command}, {one.kind}, {one.effect}, {one.attempts}"]
            if one.undo:
                lines.append(f"  undone by {one.undo}" if one.kind is StepKind.COMPENSATABLE else f"  {one.undo}")
        lines += [f"  {_sentence(one.path, one.kind, consequence)}" for consequence in one.consequences]
        if isinstance(one, ExplainedStep) and not one.consequences:
            doubtful = one.effect == Effect.AT_MOST_ONCE
            lines.append(f"  {CARRIED_OUT_ONCE if doubtful else 'It cannot fail: it is repeated until it is done.'}")
    advice = lint(definition)
    lines += ["", "Advice:", *(f"  {problem}" for problem in advice)] if advice else []
    return "\n".join(lines) + "\n"


_WHILE_IT_RUNS = {
    OnRunning.CANCEL: "while it runs, it is cancelled",
    OnRunning.WAIT: "while it runs, its end is awaited first",
}
_CAUSES = {
    EXHAUSTED: "runs out of attempts or time",
    REJECTED: "is refused",
    EXPIRED: "is not decided in time",
    DEADLINE: "is not through in time",
    LIMIT: "has had all its turns",
    COMPENSATED: "has undone itself",
}


def _sentence(path: str, kind: str, consequence: Consequence) -> str:
    cause = _CAUSES.get(consequence.reason, f"fails with {consequence.reason}")
    if kind == "signal":
        cause = "does not come in time"
    provided = f" and {consequence.provided}" if consequence.provided else ""
    if consequence.then.startswith("parks"):
        return f"If {path} {cause}{provided}, it {consequence.then}."
    undo = in_words(consequence.undo)
    if consequence.first:
        undo = f"{consequence.first} first" + (f", then {undo}" if consequence.undo else "")
    return f"If {path} {cause}{provided}, undo {undo}; then {consequence.then}."


def _walk(
    blocks: tuple[Block, ...], outer: tuple[Frame, ...], inside: tuple[Block | None, int], condition: str
) -> Iterator[ExplainedStep | ExplainedBlock]:
    for index, block in enumerate(blocks):
        frames = (*outer, Frame(blocks[:index], *inside))
        if isinstance(block, Step):
            yield _step(block, frames, condition)
            continue
        if not isinstance(block, When | Attempt):
            yield _block(block, frames, condition)
        for position, inner in enumerate(children(block)):
            below = f"{condition}, {_where(block, position)}" if condition else _where(block, position)
            yield from _walk(inner, frames, (block, position), below)


def _where(block: Block, position: int) -> str:
    match block:
        case When():
            return f"unless {block.path} holds" if position else f"if {block.path} holds"
        case Attempt():
            return f"when {block.path} was given up" if position else f"in {block.path}"
        case Parallel():
            return f"in branch {block.branches[position].path}"
        case Each():
            return f"for every item of {block.path}"
        case Repeat():
            return f"in every turn of {block.path}"
        case _:
            return f"in {block.path}"


def _step(step: Step, frames: tuple[Frame, ...], condition: str) -> ExplainedStep:
    bounded = step.within is not None or step.retry.attempts is not None
    reasons = [*step.command.failures, *([EXHAUSTED] if bounded else [])]
    return ExplainedStep(
        path=step.path,
        kind=step.kind,
        command=step.command.type_name,
        effect=step.command.effect,
        condition=condition,
        undo=_undo_text(step),
        attempts=_attempts(step),
        consequences=tuple(_step_fails(step, reason, frames) for reason in reasons),
    )


def _undo_text(step: Step) -> str:
    if step.undo is None:
        return f"nothing: {step.no_undo}" if step.no_undo else ""
    if step.command.service != SERVICE:
        return step.undo.type_name
    running = msgspec.json.decode(render(step.undo.body, {}))["running"]
    return f"{step.undo.type_name} as one unit; " + _WHILE_IT_RUNS[running]


def _step_fails(step: Step, reason: str, frames: tuple[Frame, ...]) -> Consequence:
    parks = step.kind is StepKind.RETRYABLE or (reason == EXHAUSTED and step.on_exhausted is OnExhausted.PARK)
    own: tuple[Undoing, ...] = ()
    if reason == EXHAUSTED and step.undo is not None:
        unknown = step.undo_unknown or step.undo
        own = (Undone(step.path, unknown.type_name, "if its outcome is unknown"),)
    return _consequence(reason, own, frames, parks=parks)


def _block(block: Block, frames: tuple[Frame, ...], condition: str) -> ExplainedBlock:
    inner: tuple[Undoing, ...] = ()
    first = ""
    if isinstance(block, Within):
        inner, first = tuple(undo_of(block.body, MAYBE)), f"what is under way in '{block.path}'"
    elif isinstance(block, Repeat):
        inner = tuple(undo_of((block,)))
    reasons = sorted(raised_here(block))
    found = tuple(_consequence(reason, (), frames, inner=inner, first=first) for reason in reasons)
    return ExplainedBlock(block.path, kind_of(block), block_text(block), condition, found)


def _consequence(
    reason: str,
    own: tuple[Undoing, ...],
    frames: tuple[Frame, ...],
    *,
    inner: tuple[Undoing, ...] = (),
    first: str = "",
    parks: bool = False,
) -> Consequence:
    """From the place outwards, to the attempt that reacts, or to the saga."""
    undo, unfinished, provided = inner, [first] if first else [], list[str]()
    for frame in reversed(frames):
        undo = around(undo, frame)
        block = frame.block
        if isinstance(block, Attempt) and frame.position == 0 and reason in block.on:
            way = "with the otherwise of" if block.otherwise else "behind"
            return Consequence(reason, (*own, *undo), f"go on {way} '{block.path}'", *_said(unfinished, provided))
        if found := under_way(frame):
            unfinished.append(found)
        if isinstance(block, Parallel) and block.join is Join.ANY:
            provided.append(f"no other branch of '{block.path}' succeeds")
    if parks or any(has_pivot(frame.before) for frame in frames):
        return Consequence(reason, (), "parks for an operator")
    return Consequence(reason, (*own, *undo), "the saga ends compensated", *_said(unfinished, provided))


def _said(unfinished: list[str], provided: list[str]) -> tuple[str, str]:
    return " and ".join(unfinished), " and ".join(provided)


def _attempts(step: Step) -> str:
    if step.command.service == SERVICE:
        return "until it has ended"
    if step.command.effect is Effect.AT_MOST_ONCE:
        return f"carried out once, asked again every {duration_text(step.timeout)}"
    retry = step.retry
    often = f"at most {retry.attempts} times" if retry.attempts is not None else "repeated"
    until = f" within {duration_text(step.within)}" if step.within else "" if retry.attempts else " until it is decided"
    waits = f"waiting {duration_text(retry.first)} to {duration_text(retry.cap)}"
    return f"{often}{until}, {duration_text(step.timeout)} each, {waits}"
