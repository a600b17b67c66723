"""Blocks that wait, ask, repeat or run side by side, each in one line for people."""

from datetime import timedelta

import msgspec

from saga.core.definition import (
    Approval,
    Await,
    Block,
    Each,
    Join,
    OnBranchFailed,
    OnLate,
    OnSilence,
    Parallel,
    Repeat,
    Sleep,
    Within,
)
from saga.core.evaluation import place_of
from saga.core.expression import Expression, Literal

_LATE = {
    OnLate.FAIL: "",
    OnLate.PARK: "; then it parks for an operator",
    OnLate.CONTINUE: "; then the saga goes on without it",
}
_FAILED = {
    OnBranchFailed.STOP: "one failure ends the block",
    OnBranchFailed.FINISH: "after a failure the others come to their end first",
}


def kind_of(block: Block) -> str:
    """What an author calls it."""
    return "signal" if isinstance(block, Await) else str(block.__struct_config__.tag)


def block_text(block: Block) -> str:
    """What it does, without its path."""
    match block:
        case Sleep():
            return sleep_text(block)
        case Await():
            return _signal(block)
        case Approval():
            return _approval(block)
        case Parallel():
            return _branches(block)
        case Each():
            items = f"for every item of {place_of(block.items)}, at most {block.limit}, {block.window} at a time"
            return f"{items}; {_FAILED[block.on_failed]}; a longer list parks for an operator"
        case Repeat():
            pause = f", {duration_text(block.pause)} between two" if block.pause else ""
            return f"again until its condition holds, at most {block.limit} turns{pause}"
        case Within():
            return f"at most {duration_text(block.time)} from here"
        case _:
            return ""


def duration_text(duration: timedelta) -> str:
    """`90 s`, `5 min`, `2 h`, `3 d`: the largest unit without a fraction."""
    seconds = duration.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"


def sleep_text(block: Sleep) -> str:
    """How long it sleeps, or until when."""
    if block.until is not None:
        return f"sleeps until {_value(block.until)}"
    if isinstance(block.time, Literal):
        return f"sleeps for {duration_text(msgspec.json.decode(block.time.json, type=timedelta))}"
    return "sleeps" if block.time is None else f"sleeps for {_value(block.time)}"


def _value(expression: Expression) -> str:
    """A constant, or the path it is read from."""
    return str(msgspec.json.decode(expression.json)) if isinstance(expression, Literal) else place_of(expression)


def _signal(block: Await) -> str:
    longest = f", at most {duration_text(block.within)}" if block.within else ""
    fitting = " that fits" if block.where is not None else ""
    return f"waits for a signal '{block.signal}'{fitting}{longest}{_LATE[block.on_late]}"


def _branches(block: Parallel) -> str:
    named = f"side by side {', '.join(branch.path for branch in block.branches)}"
    if block.join is Join.ANY:
        return f"{named}; the first that succeeds counts, the others are undone before it goes on"
    return f"{named}; all must succeed; {_FAILED[block.on_failed]}"


def _approval(block: Approval) -> str:
    who = " or ".join(block.roles)
    count = f"{block.quorum} of {who} decide" if block.quorum > 1 else f"{who} decides"
    parts = [f"{count} on {block.subject_type}" + (f", which {block.guards} sends" if block.guards else "")]
    if block.condition is not None:
        parts.append("only if its condition holds")
    if block.exclude_requester:
        parts.append("not who asked for the saga")
    if block.editable:
        parts.append(f"may change {', '.join(block.editable)}")
    if block.remind_every is not None:
        parts.append(f"reminded every {duration_text(block.remind_every)}")
    if block.expires is not None:
        parts.append(f"after {duration_text(block.expires)} {_silence(block)}")
    return "; ".join(parts)


def _silence(block: Approval) -> str:
    match block.on_silence:
        case OnSilence.ESCALATE:
            return f"{' or '.join(block.escalate_to)} is asked too, for as long again; then silence is a refusal"
        case OnSilence.COMPENSATE:
            return "it fails with expired"
        case OnSilence.REJECT:
            return "silence is a refusal"
