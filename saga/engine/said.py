"""What callers say to a saga: as inputs of the core, why one does not count, and what its sender hears."""

from datetime import datetime

from saga.core import decisions, waits
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Cancel, DecisionGiven, Refusal, SignalGiven
from saga.core.messages import CancelMessage, DecideMessage, ResultKind, ResultMessage, SignalMessage, ToSaga
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine.answers import accepted, cancel_heard
from saga.engine.settings import Trust
from saga.wire import Poison

Said = Cancel | SignalGiven | DecisionGiven


def input_of(message: ToSaga, state: SagaState, trust: Trust, now: datetime) -> Said:
    """The input it is. Raises ProtocolViolation for what its sender may not say."""
    actor = message.actor if message.sender in trust.gateways else None
    match message:
        case CancelMessage():
            by = message.sender or "unknown"
            return Cancel(now=now, request=message.message_id, by=by, actor=actor, reason=message.reason)
        case SignalMessage():
            return _signal(message, state, actor, now)
        case DecideMessage() if actor is not None:
            return _decision(message, actor, trust, now)
        case _:
            text = (
                f"{message.sender} is no gateway, so nobody vouches for the approver. "
                "Fix: add the user to `gateways` of the orchestrators, or decide with `saga approvals`"
            )
            raise ProtocolViolation(Poison.FORBIDDEN, text)


def _signal(message: SignalMessage, state: SagaState, actor: str | None, now: datetime) -> SignalGiven:
    if message.name != state.name:
        text = f"the routing key names {message.name!r}, and saga {state.saga} is a {state.name!r}"
        raise ProtocolViolation(Poison.HEADER_DISAGREES, text)
    return SignalGiven(
        now=now,
        signal=message.signal,
        message_id=message.message_id,
        body=message.body,
        by=message.sender,
        actor=actor,
    )


def _decision(message: DecideMessage, approver: str, trust: Trust, now: datetime) -> DecisionGiven:
    return DecisionGiven(
        now=now,
        path=message.path,
        number=message.number,
        choice=message.choice,
        approver=approver,
        by=message.sender or "unknown",
        roles=trust.roles_of(approver),
        request=message.message_id,
        digest=message.digest,
        reason=message.reason,
        edited=message.edited,
    )


def objection(plan: Plan, state: SagaState, given: Said) -> Refusal | None:
    """Why it does not count; None when it does, when it did before, and for a cancel, which is heard in any case."""
    match given:
        case SignalGiven():
            return waits.objection(plan, state, given)
        case DecisionGiven():
            return decisions.objection(plan, state, given)
        case Cancel():
            return None


def refused(message: ToSaga, saga: str, refusal: Refusal) -> ResultMessage:
    """What the sender hears of it."""
    return ResultMessage(
        kind=ResultKind.REFUSED,
        reply_to=message.reply_to,
        in_reply_to=message.message_id,
        saga=saga,
        code=refusal.code,
        reason=refusal.text,
    )


def heard(message: ToSaga, plan: Plan, before: SagaState, after: SagaState) -> ResultMessage:
    """What the sender hears once it was decided on; it counted, now or before."""
    if isinstance(message, CancelMessage):
        return cancel_heard(message, plan, before, after)
    return accepted(message.reply_to, message.message_id, after.saga, existing=before is after)


def described(message: ToSaga) -> str:
    """As the cause of a commit."""
    match message:
        case SignalMessage():
            return f"signal {message.signal} {message.message_id} by {message.sender}"
        case DecideMessage():
            return f"decision {message.message_id} by {message.sender}"
        case _:
            return f"cancel {message.message_id} by {message.sender}"
