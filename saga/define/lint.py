"""Advice on a definition that can run, but not as well as it could."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from saga.contract import Effect
from saga.core.blocks import (
    EXHAUSTED,
    Approval,
    Attempt,
    Await,
    Block,
    CommandTemplate,
    Each,
    Join,
    OnExhausted,
    OnSilence,
    Parallel,
    Repeat,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
    blocks_of,
    children,
    steps_of,
)
from saga.core.bounds import EVENTS_MAX
from saga.core.definition import Definition
from saga.core.errors import Problem
from saga.core.expression import JSON_NULL, Literal, Object
from saga.define.checks import raised_here
from saga.define.in_words import duration_text

ACTION_TRAVELS = timedelta(days=7)
"""A key older than its participant remembers, less this, is not sent any more (protocol: an action expires so late)."""

EVENTS_OF_A_STEP = 2
"""Issued and answered."""


def lint(definition: Definition) -> tuple[Problem, ...]:
    """Every piece of advice, in the order of the definition."""
    return tuple(
        Problem(place, reason, fix, kind="lint")
        for place, reason, fix in (
            *_irreversible(definition),
            *_losing(definition),
            *_doubtful(definition),
            *_empty_undo(definition),
            *_outlasting(definition.blocks, definition.deadline, "the saga's deadline"),
            *_long(definition),
            *_crowded(definition),
            *_forgotten(definition),
            *_overruled(definition.blocks, caught=None),
        )
    )


Advice = tuple[str, str, str]


def _irreversible(definition: Definition) -> Iterator[Advice]:
    """A step that stays done should not stand before one that can still fail."""
    for step, fallible in _with_fallible_after(definition):
        if step.no_undo is not None and fallible:
            yield (
                step.path,
                f"is never undone ({step.no_undo}), but {fallible} may still fail after it",
                "move it behind, make it the pivot, or give it an undo",
            )


def _losing(definition: Definition) -> Iterator[Advice]:
    """Where the first branch wins, what the others did is undone: but not this."""
    for block in blocks_of(definition.blocks):
        if not isinstance(block, Parallel) or block.join is not Join.ANY:
            continue
        for branch in block.branches:
            for step in steps_of(branch.body):
                if step.no_undo is not None:
                    yield (
                        step.path,
                        f"is never undone ({step.no_undo}), also when another branch of '{block.path}' comes first",
                        f"give it an undo, or move it behind '{block.path}'",
                    )


def _doubtful(definition: Definition) -> Iterator[Advice]:
    for step, fallible in _with_fallible_after(definition):
        if step.command.effect is Effect.AT_MOST_ONCE and fallible:
            yield (
                step.path,
                f"is at_most_once: a lost reply puts it before an operator, with {fallible} still to come",
                "make it the last step before the pivot, the pivot itself, or retryable",
            )


def _with_fallible_after(definition: Definition) -> Iterator[tuple[Step, str]]:
    """Each step that can be followed by compensation, and the first step or wait after it that may fail."""
    return ((step, after) for step, after in _followed(definition.blocks, "") if step.kind is StepKind.COMPENSATABLE)


def _followed(blocks: tuple[Block, ...], behind: str) -> Iterator[tuple[Step, str]]:
    """Each step below, and what may fail after it: in its own sequence, then what is behind that."""
    for index, block in enumerate(blocks):
        after = _fallible(blocks[index + 1 :]) or behind
        if isinstance(block, Step):
            yield block, after
        for number, inner in enumerate(children(block)):
            yield from _followed(inner, _beside(block, number) or after)


def _beside(block: Block, number: int) -> str:
    """What else of a block may fail after a step of its sequence of this number; another arm does not run then."""
    match block:
        case Parallel(join=Join.ALL):
            others = (branch.body for other, branch in enumerate(block.branches) if other != number)
            return next(filter(None, map(_fallible, others)), "")
        case Each() | Repeat() if fallible := _fallible(block.body):
            return f"{fallible} {'of another item' if isinstance(block, Each) else 'in a later turn'}"
        case _:
            return ""


def _fallible(blocks: tuple[Block, ...], caught: frozenset[str] = frozenset()) -> str:
    """The first block that may fail for what no attempt around it reacts to, as advice names it."""
    for block in blocks:
        reasons = [reason for reason in _reasons(block) if reason not in caught]
        if reasons:
            return f"'{block.path}' ({', '.join(reasons)})"
        for inner in children(block):
            on = block.on if isinstance(block, Attempt) and inner is block.body else ()
            if found := _fallible(inner, caught.union(on)):
                return found
    return ""


def _reasons(block: Block) -> tuple[str, ...]:
    """Why it may fail, other than by standing before an operator."""
    if not isinstance(block, Step):
        return tuple(sorted(raised_here(block)))
    if block.kind is StepKind.RETRYABLE:
        return ()
    exhausted = (EXHAUSTED,) if block.on_exhausted is OnExhausted.COMPENSATE else ()
    return (*block.command.failures, *exhausted)


def _empty_undo(definition: Definition) -> Iterator[Advice]:
    """An undo with a field that is null whatever happened needs data that no step returns."""
    for step in steps_of(definition.blocks):
        for name in _null_fields(step.undo) if step.undo else ():
            yield (
                f"{step.path}.undo.{name}",
                "is null in every case: the compensation gets data that no step returns",
                "take it from the input or the reply (undo=lambda r: ...), or drop the field from the contract",
            )


def _null_fields(command: CommandTemplate) -> list[str]:
    fields = command.body.fields if isinstance(command.body, Object) else {}
    return [name for name, value in fields.items() if isinstance(value, Literal) and bytes(value.json) == JSON_NULL]


def _outlasting(blocks: tuple[Block, ...], limit: timedelta, whose: str) -> Iterator[Advice]:
    """A wait that is longer than what it stands in never comes to its own end."""
    for block in blocks:
        time = _wait(block)
        if time > limit:
            what = {Sleep: "sleeps for", Approval: "expires after"}.get(type(block), "waits at most")
            reason = f"{what} {duration_text(time)}, but {whose} is {duration_text(limit)}"
            yield block.path, reason, "shorten the wait, or lengthen what it stands in"
        inside = (limit, whose)
        if isinstance(block, Within) and block.time < limit:
            inside = (block.time, f"the time of '{block.path}'")
        for inner in children(block):
            yield from _outlasting(inner, *inside)


def _wait(block: Block) -> timedelta:
    """How long a wait may take, as far as the definition says it."""
    match block:
        case Await():
            return block.within or timedelta(0)
        case Approval():
            return (block.expires or timedelta(0)) * (2 if block.on_silence is OnSilence.ESCALATE else 1)
        case Sleep(time=Literal() as time):
            return msgspec.json.decode(time.json, type=timedelta)
        case _:
            return timedelta(0)


def _long(definition: Definition) -> Iterator[Advice]:
    longest = _longest(definition.blocks)
    waits = any(_outlasting(definition.blocks, definition.deadline, ""))
    if longest > definition.deadline and not waits:
        yield (
            definition.name,
            f"its steps may take {longest} together (within=), longer than its deadline of {definition.deadline}",
            "shorten within= of steps, or lengthen deadline= of define",
        )


def _longest(blocks: tuple[Block, ...]) -> timedelta:  # noqa: C901 - a closed match, one line a kind
    total = timedelta(0)
    for block in blocks:
        match block:
            case Step():
                total += block.within or timedelta(0)
            case When():
                total += max(_longest(block.then), _longest(block.otherwise))
            case Attempt():
                total += _longest(block.body) + _longest(block.otherwise)
            case Parallel():
                total += max(_longest(branch.body) for branch in block.branches)
            case Within():
                total += block.time
            case Each():
                total += _longest(block.body)
            case Repeat():
                total += block.limit * (_longest(block.body) + (block.pause or timedelta(0)))
            case Sleep() | Await() | Approval():
                total += _wait(block)
    return total


def _crowded(definition: Definition) -> Iterator[Advice]:
    """Items of items multiply: a history that is full begins no further step."""
    steps = _steps_at_most(definition.blocks)
    if steps * EVENTS_OF_A_STEP > EVENTS_MAX:
        yield (
            definition.name,
            f"may do {steps} steps in one run, each at least {EVENTS_OF_A_STEP} events; at {EVENTS_MAX} it parks",
            "lower the limits of its blocks, or run a sub-saga for every item",
        )


def _steps_at_most(blocks: tuple[Block, ...]) -> int:
    total = 0
    for block in blocks:
        times = block.limit if isinstance(block, Each | Repeat) else 1
        total += isinstance(block, Step) + times * sum(map(_steps_at_most, children(block)))
    return total


def _forgotten(definition: Definition) -> Iterator[Advice]:
    """A wait as long as a participant's memory makes doubts that only a person can resolve."""
    blocks = list(blocks_of(definition.blocks))
    for index, step in enumerate(blocks):
        if not isinstance(step, Step) or step.kind is not StepKind.COMPENSATABLE or step.undo is None:
            continue
        sendable = step.command.remembers - ACTION_TRAVELS
        if definition.deadline > sendable:
            wait = next((b.path for b in blocks[index:] if isinstance(b, Sleep | Await | Approval)), "")
            when = duration_text(definition.deadline) + (f" ('{wait}' waits behind it)" if wait else "")
            yield (
                step.path,
                f"may be undone after {when}, but '{step.command.service}' knows its key for {duration_text(sendable)}",
                "declare a longer remembers= in its contract, or an undo whose payload is complete",
            )


def _overruled(blocks: tuple[Block, ...], caught: str | None) -> Iterator[Advice]:
    """Inside an attempt that reacts to `exhausted`, a step's own policy is never asked."""
    for block in blocks:
        match block:
            case Step():
                if caught and block.on_exhausted is OnExhausted.COMPENSATE:
                    reason = f"on_exhausted=COMPENSATE has no effect: the attempt '{caught}' reacts to it"
                    yield block.path, reason, "remove it, or On.EXHAUSTED from the attempt"
            case Attempt():
                yield from _overruled(block.body, block.path if EXHAUSTED in block.on else caught)
                yield from _overruled(block.otherwise, caught)
            case _:
                for inner in children(block):
                    yield from _overruled(inner, caught)
