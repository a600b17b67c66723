"""What callers hear: accepted, refused, ended, as values. Deciding is done elsewhere; here is only the wording."""

from saga.core.messages import CancelMessage, ResultKind, ResultMessage, StartMessage
from saga.core.plan import Plan, pivot_passed
from saga.core.state import Phase, SagaState
from saga.ports import Known


def accepted(reply_to: str, in_reply_to: str, saga: str, *, existing: bool) -> ResultMessage:
    """A start is acknowledged by this."""
    return ResultMessage(
        kind=ResultKind.ACCEPTED, reply_to=reply_to, in_reply_to=in_reply_to, saga=saga, existing=existing
    )


def ended(state: SagaState, reply_to: str = "", in_reply_to: str = "") -> ResultMessage:
    """How a saga ended: for whoever started it, or for whoever asks again."""
    return ResultMessage(
        kind=ResultKind.ENDED,
        reply_to=reply_to or state.reply_to,
        in_reply_to=in_reply_to or state.message_id,
        saga=state.saga,
        status=str(state.phase),
        reason=state.because,
        code=state.because_code,
        output=state.output,
    )


def key_reused(asks: StartMessage, start_key: str, existing: Known) -> ResultMessage:
    """A start whose key belongs to a saga with another input."""
    key = start_key[2:]
    return ResultMessage(
        kind=ResultKind.REFUSED,
        reply_to=asks.reply_to,
        in_reply_to=asks.message_id,
        saga=existing.saga,
        code="key-reused",
        reason=(
            f"{asks.name} {key!r} was started before with another input (saga {existing.saga}, {existing.status}). "
            f"Keys are unique for ever; a rerun is a new key, e.g. {key}#2"
        ),
    )


def cancel_heard(cancel: CancelMessage, plan: Plan, before: SagaState, after: SagaState) -> ResultMessage:
    """What became of a cancel: it counts, it came too late, or there was nothing left to cancel.

    `before` and `after` are the states around its decision; a cancel that changed nothing has them equal. The first
    cancel counts: one asked twice hears the same, and a second one hears what the first achieved.
    """
    kind, code, reason = ResultKind.REFUSED, "", ""
    if _cancelled(plan, before, after):
        kind = ResultKind.ACCEPTED
    elif after.terminal:
        code, reason = "ended", f"the saga has ended: {after.phase}"
    else:
        code, reason = "too-late", "the pivot has passed: it only goes forward"
    return ResultMessage(
        kind=kind,
        reply_to=cancel.reply_to,
        in_reply_to=cancel.message_id,
        saga=after.saga,
        existing=kind is ResultKind.ACCEPTED,
        code=code,
        reason=reason,
    )


def _cancelled(plan: Plan, before: SagaState, after: SagaState) -> bool:
    if after.phase is Phase.COMPENSATING:
        return True
    if not after.terminal:
        return after.cancel_counts and not pivot_passed(plan, after)
    # It ended by this very decision because nothing was to be undone, or by an earlier cancel.
    return after.phase is Phase.COMPENSATED and (not before.terminal or after.cancel_counts)
