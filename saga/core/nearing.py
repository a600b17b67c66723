"""Limits that come nearer: said at 80 %, while there is time, and before a saga is stopped by one."""

from collections.abc import Iterator, Sequence

from saga.core import events as e
from saga.core.bounds import EVENTS_MAX, RECORDED_BYTES_MAX
from saga.core.limits import BODY_BYTES_MAX
from saga.core.state import SagaState

NEAR_PERCENT = 80
NEARING_TAG = "saga.nearing"
"""No definition can give a tag this name. Its value is `history`."""

_NEAR_BODY_BYTES = BODY_BYTES_MAX * NEAR_PERCENT // 100


def tags_of(state: SagaState) -> dict[str, str]:
    """What a saga is found by: its own tags, and a mark while it is open and its history nears the limit."""
    if state.terminal or history_percent(state) < NEAR_PERCENT:
        return state.tags
    return {**state.tags, NEARING_TAG: "history"}


def history_percent(state: SagaState) -> int:
    """How much of a saga's history is used: of its events or of its bytes, whichever is more."""
    return max(state.events_count * 100 // EVENTS_MAX, state.recorded_bytes * 100 // RECORDED_BYTES_MAX)


def warnings(before: SagaState | None, after: SagaState, events: Sequence[e.AnyEvent]) -> Iterator[str]:
    """What to say of a commit: large bodies each time, the history once, when it comes near."""
    known = 0 if before is None else history_percent(before)
    if known < NEAR_PERCENT <= history_percent(after):
        yield (
            f"{after.events_count} of {EVENTS_MAX} events and {after.recorded_bytes} of {RECORDED_BYTES_MAX} bytes "
            "recorded: at the limit it begins no further step"
        )
    if after.recorded_bytes - (0 if before is None else before.recorded_bytes) < _NEAR_BODY_BYTES:
        return  # none of its bodies can be large
    for event in events:
        where, size_bytes = _body(event)
        if size_bytes >= _NEAR_BODY_BYTES:
            yield f"{where} has {size_bytes} of {BODY_BYTES_MAX} bytes"


def _body(event: e.AnyEvent) -> tuple[str, int]:
    match event:
        case e.SagaStarted():
            return "the input", len(bytes(event.input))
        case e.CommandIssued():
            return f"the command of {event.path}", len(bytes(event.body))
        case e.StepSucceeded():
            return f"the reply to {event.path}", len(bytes(event.reply))
        case _:
            return "", 0
