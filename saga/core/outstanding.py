"""What a state asks of the world: `outstanding` commands, `next_wake`, and the reasons it `waits`.

First dispatch, re-send after a crash, reconcile after the broker lost everything, the doctor and `saga show` are all
these functions over the same state.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from saga.core.approvals import waiting as open_requests
from saga.core.bounds import ACTION_EXPIRES_AFTER, GAP_ASK_AFTER, RESEND_AFTER, RESEND_CAP
from saga.core.children import SERVICE, TIMEOUT, unanswered_since
from saga.core.definition import Step
from saga.core.events import WaitFor
from saga.core.identity import attempt_id, idempotency_key, span_id, traceparent
from saga.core.messages import CommandMessage, Kind
from saga.core.nearing import tags_of
from saga.core.plan import Plan, pursued, template_of
from saga.core.retry import in_deploy_gap
from saga.core.state import Execution, Request, SagaState, View, Waiting
from saga.core.waits import active as active_waits


class Due(msgspec.Struct, frozen=True):
    """A command that must be on the wire, and the commit that put it there."""

    version: int
    message: CommandMessage


def outstanding(plan: Plan, state: SagaState, after_version: int = 0) -> list[Due]:
    """Every command that must be on the wire now: sent by a commit after `after_version`, or never delivered."""
    if state.terminal or state.paused_at is not None:
        return []
    return [
        Due(execution.sent[0], _message(state, step, execution))
        for step, execution in _open(plan, state)
        if execution.waiting is Waiting.DELIVERY
        or (execution.waiting is Waiting.REPLY and execution.sent[0] > after_version)
    ]


def asked_again(plan: Plan, state: SagaState, now: datetime) -> list[CommandMessage]:
    """Commands to be sent again, whenever the clock is looked at, as the same attempt. That records nothing, here or in
    a child: waiting for years costs no history.

    Those to sub-sagas that have been waited for since a day or longer: it brings back an answer that was lost, or a
    start, should a broker have lost everything. And those that their service did not know a minute ago or longer: it
    may have been deployed meanwhile.
    """
    if state.terminal or state.paused_at is not None:
        return []
    return [
        _fresh(_message(state, step, execution), now)
        for step, execution in _open(plan, state)
        if (awaits_child(step, execution) and execution.wake_at is not None and execution.wake_at <= now)
        or (in_deploy_gap(execution) and execution.sent_at + GAP_ASK_AFTER <= now)
    ]


def _fresh(command: CommandMessage, now: datetime) -> CommandMessage:
    """Its time runs anew, if it has one: the attempt is old, and the key is not forgotten or it would be parked."""
    if command.expires_at is None:
        return command
    return msgspec.structs.replace(command, expires_at=now + ACTION_EXPIRES_AFTER)


def awaits_child(step: Step, execution: Execution) -> bool:
    """A sub-saga was asked, and takes as long as it takes: the attempt never times out."""
    return execution.waiting is Waiting.REPLY and template_of(step, execution).service == SERVICE


def next_wake(plan: Plan, state: SagaState, now: datetime, dispatched_version: int) -> datetime | None:
    """When to look again at the latest; None when only an arrival or a person moves the saga.

    A child that has ended is looked at until its answer is known to be on the broker.
    """
    if state.terminal:
        since = unanswered_since(state, dispatched_version)
        return None if since is None else _resend_at(now, since, now)
    if state.paused_at is not None:
        return None
    moments = [] if state.deadline_passed else [state.deadline_at]
    for step, execution in _open(plan, state):
        if execution.wake_at is not None:
            moments.append(_looked_at(state, step, execution, execution.wake_at, now))
        if is_in_doubt(execution, dispatched_version):
            moments.append(_resend_at(max(now, execution.sent_at), execution.clock_at, now))
    moments += [pending.until for _, pending in active_waits(plan, state) if pending.until is not None]
    for _, request in open_requests(plan, state):
        moments += [moment for moment in (request.expires_at, request.remind_at) if moment is not None]
    return min(moments, default=None)


def _looked_at(state: SagaState, step: Step, execution: Execution, due: datetime, now: datetime) -> datetime:
    """When it is due; a sub-saga again and again, and what its service does not know on the saga's own minutes before,
    so that many steps that wait for one deploy are asked with one look."""
    if in_deploy_gap(execution):
        after = max(now, execution.sent_at + GAP_ASK_AFTER)
        minutes = (after - state.started_at) // GAP_ASK_AFTER + 1
        return min(due, state.started_at + minutes * GAP_ASK_AFTER)
    if due > now or not awaits_child(step, execution):
        return due
    return due + ((now - due) // TIMEOUT + 1) * TIMEOUT


def _resend_at(after: datetime, since: datetime, now: datetime) -> datetime:
    """Rarer, the longer it is away."""
    return after + min(max(RESEND_AFTER, (now - since) / 2), RESEND_CAP)


def is_in_doubt(execution: Execution, dispatched_version: int) -> bool:
    """Nobody knows that the current attempt has reached its queue."""
    if execution.waiting is Waiting.DELIVERY:
        return True
    late = execution.sent[0] > dispatched_version and not execution.delivered
    return execution.waiting is Waiting.REPLY and late


def _open(plan: Plan, state: SagaState) -> Iterator[tuple[Step, Execution]]:
    for path, step in state.steps.items():
        for execution in (step.action, step.undo):
            if execution is None or execution.outcome is not None:
                continue
            if pursued(plan, state, asked := plan.step(path), execution):
                yield asked, execution


def _message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
    key = idempotency_key(state.saga, step.path, execution.kind, execution.number)
    template = template_of(step, execution)
    undoes = execution.undoes
    return CommandMessage(
        saga=state.saga,
        saga_name=state.name,
        saga_version=state.definition_version,
        business_key=state.start_key[2:],
        path=step.path,
        kind=execution.kind,
        execution=execution.number,
        attempt=execution.attempt,
        service=template.service,
        command=template.name,
        command_version=template.version,
        message_id=attempt_id(key, execution.attempt),
        key=key,
        body=execution.body,
        undoes=None if undoes is None else idempotency_key(state.saga, step.path, Kind.ACTION, undoes),
        undoes_outcome=execution.undoes_outcome,
        expires_at=execution.sent_at + ACTION_EXPIRES_AFTER if execution.kind is Kind.ACTION else None,
        traceparent=traceparent(
            state.root, span_id(state.saga, *execution.sent, "attempt"), sampled=not state.untraced
        ),
    )


class Wait(msgspec.Struct, frozen=True):
    """Why a saga is not moving, one reason."""

    kind: str
    """`reply`, `delivery`, `timer`, `signal`, `approval`, `child`, `parked`, `paused`."""
    path: str
    text: str
    until: datetime | None = None
    code: str = ""
    """The word behind it; nothing while all is well."""


def waits(plan: Plan, state: SagaState) -> list[Wait]:
    """Every reason, the one that needs a person first. Empty only for a saga that has ended."""
    if state.terminal:
        return []
    found: list[Wait] = []
    if state.paused_at is not None:
        found.append(Wait("paused", "", f"paused since {_time(state.paused_at)}"))
    found += _waits_for_people(plan, state)
    found += [
        Wait("parked", path, f"{parked.code}: {parked.text}", code=parked.code) for path, parked in state.parked.items()
    ]
    for step, execution in _open(plan, state):
        wait = _wait(step, execution)
        if wait is not None and step.path not in state.parked:
            found.append(wait)
    return found + list(_waits_for_others(plan, state))


def _waits_for_others(plan: Plan, state: SagaState) -> Iterator[Wait]:
    """For a time, for somebody outside."""
    for path, pending in active_waits(plan, state):
        if pending.waits_for is WaitFor.TIME:
            yield Wait("timer", path, f"{path}: sleeps until {_time(pending.until)}", pending.until)
        elif pending.waits_for is WaitFor.SIGNAL:
            yield Wait("signal", path, f"{path}: waits for the signal {pending.signal}", pending.until)


def _waits_for_people(plan: Plan, state: SagaState) -> list[Wait]:
    """First of all but a pause: who lists what is to be approved finds it by the first reason of a saga."""
    return [
        Wait("approval", path, f"{path}: {_who(request)} may decide", request.expires_at)
        for path, request in open_requests(plan, state)
    ]


def _who(request: Request) -> str:
    missing = request.quorum - len(request.decisions)
    people = " or ".join(request.roles)
    return people if request.quorum == 1 else f"{missing} more of {people}"


def has_reason(plan: Plan, state: SagaState) -> bool:
    """Whether `waits` would find any: cheap enough to assert after every decision."""
    if state.parked or state.paused_at is not None:
        return True
    if any(pending.waits_for is not WaitFor.SCOPE for _, pending in active_waits(plan, state)):
        return True
    if any(True for _ in open_requests(plan, state)):
        return True
    return any(execution.waiting is not Waiting.NOTHING for _, execution in _open(plan, state))


def _wait(step: Step, execution: Execution) -> Wait | None:
    what = step.path if execution.kind is Kind.ACTION else f"the undo of {step.path}"
    command = template_of(step, execution).type_name
    code = execution.why.partition(":")[0]
    match execution.waiting:
        case Waiting.REPLY if template_of(step, execution).service == SERVICE:
            return Wait("child", step.path, f"{what}: the sub-saga {command.removeprefix(SERVICE + '.')} goes on")
        case Waiting.REPLY:
            again = f", attempt {execution.attempt}; before it: {execution.why}" if execution.why else ""
            return Wait("reply", step.path, f"{what}: reply of {command} is due{again}", execution.wake_at, code)
        case Waiting.DELIVERY:
            return Wait("delivery", step.path, f"{what}: {command} has reached no queue ({execution.why})")
        case Waiting.BACKOFF:
            text = f"{what}: {_meanwhile(execution)}attempt {execution.attempt + 1} follows after {execution.why}"
            return Wait("timer", step.path, text, execution.wake_at, code)
        case Waiting.NOTHING:
            return None


def _meanwhile(execution: Execution) -> str:
    long = execution.wake_at is not None and execution.wake_at - execution.sent_at > GAP_ASK_AFTER
    return "asked again every minute, " if long and in_deploy_gap(execution) else ""


def view(plan: Plan, state: SagaState) -> View:
    """What the saga's row says: list and detail cannot disagree, both come from here."""
    if state.terminal:
        return View(str(state.phase), "", "", tags_of(state))
    found = waits(plan, state)
    status = "parked" if state.parked else str(state.phase)
    first = found[0]
    text = first.text if len(found) == 1 else f"{first.text} (and {len(found) - 1} more)"
    return View(status, first.kind, text[:500], tags_of(state))


def _time(moment: datetime | None) -> str:
    return "a signal" if moment is None else moment.isoformat(timespec="seconds")
