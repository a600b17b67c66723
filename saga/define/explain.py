"""Says what a definition does when something fails: which steps are undone, in which order, and what comes next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core.definition import (
    EXHAUSTED,
    Attempt,
    Block,
    Definition,
    OnExhausted,
    Step,
    StepKind,
    When,
    canonical,
    children,
    content_hash,
)
from saga.define.lint import lint

CARRIED_OUT_ONCE = "It is never carried out twice: if its service cannot tell whether it happened, it parks."


class Undone(msgspec.Struct, frozen=True):
    """A compensation that a failure leads to."""

    step: str
    command: str
    """Type name, e.g. `payments.RefundCharge.v1`."""
    condition: str
    """Empty, or when it is sent: `if it was done`, `if its outcome is unknown`."""


class Consequence(msgspec.Struct, frozen=True):
    """What follows when a step fails for one reason."""

    reason: str
    """A failure code, or `exhausted`."""
    undo: tuple[Undone, ...]
    """In the order in which the compensations are sent."""
    then: str
    """What the saga does next."""


class ExplainedStep(msgspec.Struct, frozen=True):
    """A step, and what follows from each way it can fail."""

    path: str
    kind: StepKind
    command: str
    effect: str
    condition: str
    """Empty, or the blocks it stands in."""
    undo: str
    """Type name of its compensation, the reason why there is none, or empty where nothing is to undo."""
    attempts: str
    consequences: tuple[Consequence, ...]


@dataclass
class _Way:
    """What may have been done before a place, and who reacts to failures there."""

    done: list[Undone] = field(default_factory=list)
    attempts: list[tuple[Attempt, int]] = field(default_factory=list)
    """Attempts around the place, with how much was done before each began."""
    condition: str = ""

    def inside(self, condition: str, attempt: Attempt | None = None) -> "_Way":
        attempts = [*self.attempts, (attempt, len(self.done))] if attempt else list(self.attempts)
        return _Way(list(self.done), attempts, f"{self.condition}, {condition}" if self.condition else condition)


def explained_steps(definition: Definition) -> tuple[ExplainedStep, ...]:
    """Every step in the order written."""
    return tuple(_walk(definition.blocks, _Way()))


def explain_data(definition: Definition) -> dict[str, Any]:
    """The explanation as JSON-able data."""
    steps = explained_steps(definition)
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
                "lints": lint(definition),
            }
        )
    )
    return data


def explain(definition: Definition) -> str:
    """The explanation as text."""
    steps = explained_steps(definition)
    pivots = [step.path for step in steps if step.kind is StepKind.PIVOT]
    lines = [
        f"{definition.name} v{definition.version}: {definition.input_type} -> {definition.output_type}",
        f"  deadline {duration_text(definition.deadline)}; "
        + (
            f"point of no return: {' or '.join(pivots)}" if pivots else "no point of no return: all of it can be undone"
        ),
    ]
    for step in steps:
        where = f" ({step.condition})" if step.condition else ""
        lines += ["", f"{step.path}{where}: {step.command}, {step.kind}, {step.effect}, {step.attempts}"]
        if step.undo:
            lines.append(f"  undone by {step.undo}" if step.kind is StepKind.COMPENSATABLE else f"  {step.undo}")
        lines += [f"  {_sentence(step.path, consequence)}" for consequence in step.consequences]
        if not step.consequences:
            doubtful = step.effect == Effect.AT_MOST_ONCE
            lines.append(f"  {CARRIED_OUT_ONCE if doubtful else 'It cannot fail: it is repeated until it is done.'}")
    advice = lint(definition)
    lines += ["", "Advice:", *(f"  {problem}" for problem in advice)] if advice else []
    return "\n".join(lines) + "\n"


def duration_text(duration: timedelta) -> str:
    """`90 s`, `5 min`, `2 h`, `3 d`: the largest unit without a fraction."""
    seconds = duration.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"


def _sentence(path: str, consequence: Consequence) -> str:
    cause = "runs out of attempts or time" if consequence.reason == EXHAUSTED else f"fails with {consequence.reason}"
    undo = ", ".join(f"{u.step}{f' ({u.condition})' if u.condition else ''}" for u in consequence.undo)
    if consequence.then.startswith("parks"):
        return f"If {path} {cause}, it {consequence.then}."
    return f"If {path} {cause}, undo {undo or 'nothing'}; then {consequence.then}."


def _walk(blocks: tuple[Block, ...], way: _Way) -> Iterator[ExplainedStep]:
    """Explains each block, and notes in `way` what may have been done when the next one begins."""
    for block in blocks:
        match block:
            case Step():
                yield _explained(block, way)
                way.done += _own(block, "")
            case When():
                arms = (
                    (block.then, way.inside(f"if {block.path} holds")),
                    (block.otherwise, way.inside(f"unless {block.path} holds")),
                )
                yield from _walk_arms(arms, way)
            case Attempt():
                arms = (
                    (block.body, way.inside(f"in {block.path}", block)),
                    (block.otherwise, way.inside(f"when {block.path} was given up")),
                )
                yield from _walk_arms(arms, way)
            case _:
                for inner in children(block):
                    yield from _walk(inner, way)


def _walk_arms(arms: tuple[tuple[tuple[Block, ...], _Way], ...], way: _Way) -> Iterator[ExplainedStep]:
    before = len(way.done)
    for blocks, inside in arms:
        yield from _walk(blocks, inside)
        way.done += [msgspec.structs.replace(undone, condition="if it was done") for undone in inside.done[before:]]


def _own(step: Step, condition: str) -> list[Undone]:
    if step.undo is None:
        return []
    unknown = step.undo_unknown if condition and step.undo_unknown else step.undo
    return [Undone(step.path, unknown.type_name, condition)]


def _explained(step: Step, way: _Way) -> ExplainedStep:
    bounded = step.within is not None or step.retry.attempts is not None
    reasons = [*step.command.failures, *([EXHAUSTED] if bounded else [])]
    return ExplainedStep(
        path=step.path,
        kind=step.kind,
        command=step.command.type_name,
        effect=step.command.effect,
        condition=way.condition,
        undo=step.undo.type_name if step.undo else f"nothing: {step.no_undo}" if step.no_undo else "",
        attempts=_attempts(step),
        consequences=tuple(_consequence(step, reason, way) for reason in reasons),
    )


def _consequence(step: Step, reason: str, way: _Way) -> Consequence:
    exhausted = reason == EXHAUSTED
    own = _own(step, "if its outcome is unknown") if exhausted else []
    for attempt, before in reversed(way.attempts):
        if reason in attempt.on:
            then = (
                f"go on with the otherwise of '{attempt.path}'"
                if attempt.otherwise
                else f"go on behind '{attempt.path}'"
            )
            return Consequence(reason, (*own, *reversed(way.done[before:])), then)
    if step.kind is StepKind.RETRYABLE or (exhausted and step.on_exhausted is OnExhausted.PARK):
        return Consequence(reason, (), "parks for an operator")
    return Consequence(reason, (*own, *reversed(way.done)), "the saga ends compensated")


def _attempts(step: Step) -> str:
    if step.command.effect is Effect.AT_MOST_ONCE:
        return f"carried out once, asked again every {duration_text(step.timeout)}"
    retry = step.retry
    often = f"at most {retry.attempts} times" if retry.attempts is not None else "repeated"
    until = f" within {duration_text(step.within)}" if step.within else "" if retry.attempts else " until it is decided"
    waits = f"waiting {duration_text(retry.first)} to {duration_text(retry.cap)}"
    return f"{often}{until}, {duration_text(step.timeout)} each, {waits}"
