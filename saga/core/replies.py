"""What a participant's answer does to a saga.

`screen` says whether the answer belongs to this saga at all: what it turns away is parked as a message and leaves no
trace in the history. `on_reply` then decides. `ok` and `failed` count from any attempt of an open execution; `retry`
and `refused` speak about one delivery and count only from the current attempt.
"""

from datetime import timedelta

import msgspec

from saga.contract import Effect
from saga.core import events as e
from saga.core.address import template
from saga.core.bounds import BUSY_RETRY_CAP, UNKNOWN_COMMAND_RETRY_CAP
from saga.core.children import SERVICE
from saga.core.compensation import is_being_undone
from saga.core.definition import Step
from saga.core.due import end_attempt
from saga.core.identity import attempt_id, idempotency_key
from saga.core.inputs import Reply
from saga.core.messages import BUSY, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.core.plan import Plan, pursued
from saga.core.reads import check_reads
from saga.core.retry import in_deploy_gap
from saga.core.state import Execution, Phase, SagaState, StepState, Waiting
from saga.cost import Cost


class Rejection(msgspec.Struct, frozen=True):
    """Why an answer is no answer to anything this saga asked."""

    code: str
    detail: str


def screen(
    plan: Plan, state: SagaState, reply: ReplyMessage, *, engine: frozenset[str] = frozenset()
) -> Rejection | None:
    """None when the answer is to be decided on. Trusts nothing the sender wrote but what it had to be given.

    `engine` are the broker users of the orchestrators, which answer for children.
    """
    execution = _find(state, reply)
    if execution is None:
        detail = f"{reply.path} {reply.kind} execution {reply.execution} was never issued by {state.saga}"
        return Rejection("unknown-execution", detail)
    step = plan.step(reply.path)
    asked = step.command if reply.kind is Kind.ACTION or step.undo is None else step.undo
    believed = asked.senders or (asked.service, *(engine if asked.service == SERVICE else ()))
    if reply.service != asked.service or (reply.sender not in believed and "*" not in believed):
        detail = f"{reply.path} is answered by {asked.service}; this came from {reply.sender} as {reply.service}"
        return Rejection("forged-sender", detail)
    key = idempotency_key(state.saga, reply.path, reply.kind, reply.execution)
    if reply.key != key:
        return Rejection("unknown-execution", f"{reply.path}: the idempotency key is not the one that was sent")
    if not 1 <= reply.attempt <= execution.attempt or reply.in_reply_to != attempt_id(key, reply.attempt):
        return Rejection("unknown-execution", f"{reply.path}: attempt {reply.attempt} was never sent")
    return None


def on_reply(plan: Plan, state: SagaState, given: Reply) -> tuple[e.AnyEvent, ...]:
    """The events an answer leads to; () when it says what is known already. What it cost stands in the first.

    A participant settles an execution once, so of its definite answers one cost counts, however many are recorded:
    one that was late may count after all, and one that a person overruled may come again.
    """
    events, cost = _decided(plan, state, given), given.message.cost
    return events if cost is None else _with_cost(state, given.message, events, cost)


def _with_cost(
    state: SagaState, reply: ReplyMessage, events: tuple[e.AnyEvent, ...], cost: Cost
) -> tuple[e.AnyEvent, ...]:
    execution = _find(state, reply)
    if execution is not None and execution.cost_told and reply.outcome in (Outcome.OK, Outcome.FAILED):
        return events
    match events:
        case (e.Costly() as told, *more):
            return (msgspec.structs.replace(told, cost=cost), *more)
        case _:
            return events


def _decided(plan: Plan, state: SagaState, given: Reply) -> tuple[e.AnyEvent, ...]:
    reply = given.message
    execution = _find(state, reply)
    if execution is None:
        return ()
    step, current = plan.step(reply.path), state.steps[reply.path]
    if execution.outcome is not None or not _is_open(state, step, current, execution):
        return _odd(current, execution, given)
    match reply.outcome:
        case Outcome.OK if reply.kind is Kind.ACTION:
            return _succeeded(plan, step, given, read=pursued(plan, state, step, execution))
        case Outcome.OK:
            return _undone(step, execution, given)
        case Outcome.FAILED if reply.kind is Kind.ACTION:
            return (_failed(given),)
        case Outcome.FAILED:
            return _undo_failed(given)
        case _:
            return _delivery_answer(plan, state, step, execution, given)


def _find(state: SagaState, reply: ReplyMessage) -> Execution | None:
    step = state.steps.get(reply.path)
    if step is None:
        return None
    candidates = (step.action, step.undo, *step.past)
    for execution in candidates:
        if execution is not None and (execution.kind, execution.number) == (reply.kind, reply.execution):
            return execution
    return None


def _is_open(state: SagaState, step: Step, current: StepState, execution: Execution) -> bool:
    """An answer can still change what the saga does."""
    if state.terminal:
        return False
    if execution is current.undo:
        return not current.undone
    if execution is not current.action:
        return False
    if is_being_undone(current):  # its own answer is what a doubt about it waits for
        parked = state.parked.get(step.path)
        return parked is not None and parked.code is e.ParkCode.ACTION_IN_DOUBT
    if state.phase is Phase.COMPENSATING:  # a step that will not be undone has nothing left to say
        return step.undo is not None
    return True


def _odd(current: StepState, execution: Execution, given: Reply) -> tuple[e.AnyEvent, ...]:
    """A late answer is an inert fact; a definite one against a definite one is a contradiction. Once each."""
    reply = given.message
    if reply.outcome not in (Outcome.OK, Outcome.FAILED) or reply.outcome in execution.odd:
        return ()
    if execution.outcome == reply.outcome:
        return ()
    undone_as_nothing = (
        execution is current.action
        and current.undone
        and current.undo is not None
        and current.undo.effect is ReplyEffect.NONE
    )
    contradicts = execution.outcome is not None or (
        reply.outcome is Outcome.OK and reply.effect is ReplyEffect.APPLIED and undone_as_nothing
    )
    fact = e.ContradictoryReply if contradicts else e.LateReply
    return (
        fact(
            at=given.now,
            path=reply.path,
            kind=reply.kind,
            execution=reply.execution,
            outcome=reply.outcome,
            effect=reply.effect,
            code=reply.code,
        ),
    )


def _succeeded(plan: Plan, step: Step, given: Reply, *, read: bool) -> tuple[e.AnyEvent, ...]:
    """With `read`, later steps look into the reply; a step that is given up only has to be undone."""
    reply = given.message
    succeeded = e.StepSucceeded(
        at=given.now,
        path=reply.path,
        execution=reply.execution,
        reply=msgspec.Raw(reply.body),
        effect=reply.effect,
        attempt=reply.attempt,
        handler_ms=_milliseconds(reply.handler_time),
    )
    mismatch = check_reads(plan.definition.reads, template(step.path), reply.body) if read else None
    if mismatch is None:
        return (succeeded,)
    text = f"the reply of {step.command.type_name} lacks what the definition reads: {mismatch}"
    park = e.StepParked(at=given.now, path=step.path, kind=Kind.ACTION, code=e.ParkCode.READS_MISMATCH, text=text)
    return (succeeded, park)


def _failed(given: Reply) -> e.AnyEvent:
    reply = given.message
    return e.StepFailed(
        at=given.now,
        path=reply.path,
        execution=reply.execution,
        code=reply.code,
        message=reply.message,
        failure=msgspec.Raw(reply.body or b"null"),
        attempt=reply.attempt,
        handler_ms=_milliseconds(reply.handler_time),
    )


def _undone(step: Step, execution: Execution, given: Reply) -> tuple[e.AnyEvent, ...]:
    reply = given.message
    if execution.undoes_outcome == "ok" and reply.effect is ReplyEffect.NONE:
        text = f"{step.path} answered ok, yet its undo found nothing to undo"
        return (
            _compensation_failed(given, "effect-missing", text),
            e.StepParked(
                at=given.now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.EFFECT_MISSING, text=text
            ),
        )
    return (
        e.CompensationSucceeded(
            at=given.now,
            path=reply.path,
            execution=reply.execution,
            effect=reply.effect,
            attempt=reply.attempt,
            handler_ms=_milliseconds(reply.handler_time),
        ),
    )


def _undo_failed(given: Reply) -> tuple[e.AnyEvent, ...]:
    reply = given.message
    text = f"the undo of {reply.path} answered {reply.code}: {reply.message}".rstrip(": ")
    code = e.ParkCode.COMPENSATION_FAILED
    return (
        _compensation_failed(given, reply.code, reply.message),
        e.StepParked(at=given.now, path=reply.path, kind=Kind.COMPENSATION, code=code, text=text),
    )


def _compensation_failed(given: Reply, code: str, message: str) -> e.AnyEvent:
    reply = given.message
    return e.CompensationFailed(
        at=given.now,
        path=reply.path,
        execution=reply.execution,
        code=code,
        message=message,
        failure=msgspec.Raw(reply.body or b"null"),
    )


_PARKS: dict[str, e.ParkCode] = {
    RefusedCode.KEY_REUSED: e.ParkCode.KEY_REUSED,
    RefusedCode.INVALID_PAYLOAD: e.ParkCode.INVALID_PAYLOAD,
    RefusedCode.IN_DOUBT: e.ParkCode.IN_DOUBT,
    RefusedCode.TOO_LARGE: e.ParkCode.TOO_LARGE,
    RefusedCode.CANCELLED: e.ParkCode.CANCELLED,
}


LISTENING = (Waiting.REPLY, Waiting.DELIVERY)


def _delivery_answer(
    plan: Plan, state: SagaState, step: Step, execution: Execution, given: Reply
) -> tuple[e.AnyEvent, ...]:
    """`retry` and `refused`: about this delivery only, and only of the current attempt."""
    reply = given.message
    unknown = reply.outcome is Outcome.REFUSED and reply.code == RefusedCode.UNKNOWN_COMMAND
    known_now = in_deploy_gap(execution) and not unknown
    listening = (known_now or execution.waiting in LISTENING) and step.path not in state.parked
    if not listening or not pursued(plan, state, step, execution) or reply.attempt != execution.attempt:
        return ()
    broke_off = reply.outcome is Outcome.RETRY and reply.code != BUSY and reply.kind is Kind.ACTION
    doubtful = broke_off and step.command.effect is Effect.AT_MOST_ONCE
    park = _PARKS.get(reply.code) if reply.outcome is Outcome.REFUSED else None
    if park is not None or doubtful:
        text = f"{step.path} answered {reply.outcome}/{reply.code}: {reply.message}".rstrip(": ")
        code = park or e.ParkCode.IN_DOUBT
        if code is e.ParkCode.IN_DOUBT and _asks_about_the_action(step, execution):
            code = e.ParkCode.ACTION_IN_DOUBT
        return (e.StepParked(at=given.now, path=step.path, kind=reply.kind, code=code, text=text),)
    if reply.code == BUSY and reply.outcome is Outcome.RETRY:
        return end_attempt(plan, state, step, execution, given.now, why=BUSY, uncounted_cap=BUSY_RETRY_CAP)
    if unknown:
        cap = UNKNOWN_COMMAND_RETRY_CAP
        return end_attempt(
            plan, state, step, execution, given.now, why=reply.code, message=reply.message, uncounted_cap=cap
        )
    return end_attempt(
        plan,
        state,
        step,
        execution,
        given.now,
        why=reply.code or reply.outcome,
        message=reply.message,
        retry_after=reply.retry_after,
    )


def _asks_about_the_action(step: Step, execution: Execution) -> bool:
    """An undo that its service cannot carry out before somebody says whether the action happened: asking again brings
    the same answer, so the question is the action's. The undo itself is not settled: a refusal never settles."""
    unknown = execution.kind is Kind.COMPENSATION and execution.undoes_outcome == "unknown"
    return unknown and step.command.effect is Effect.AT_MOST_ONCE


def _milliseconds(time: timedelta | None) -> int | None:
    return None if time is None else round(time.total_seconds() * 1_000)
