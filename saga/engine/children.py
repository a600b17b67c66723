"""The engine as the participant `saga`: what a parent's command asks of its child.

A command is believed for what the parent's own history says: whoever could forge one would only repeat it. An unknown
child is started, or, when it is to be undone, tombstoned; a known one hears its parent. Its end is the answer, made
from committed state and sent until it is known to be on the broker.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from saga.core.bounds import CHILD_DEPTH_MAX, CHILDREN_MAX
from saga.core.children import KEY, SERVICE, OnRunning, answer
from saga.core.errors import ProtocolViolation
from saga.core.identity import attempt_id, idempotency_key
from saga.core.inputs import ParentAsks, ParentOf, Refusal, Start
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.core.plan import pursued, template_of
from saga.core.state import Execution, SagaState
from saga.engine.cache import Live
from saga.wire import Poison, names
from saga.wire import answer as answer_to

TYPE = names.result_type("ended")


class Asked(msgspec.Struct, frozen=True):
    """A parent's command, found genuine."""

    command: CommandMessage
    parent: Live
    execution: Execution
    input: bytes
    """Of the child: the body of the action, also for a command that undoes it."""


def key_of(command: CommandMessage) -> tuple[str, str]:
    """Name and start key of the child."""
    return command.command, KEY + (command.undoes or command.key)


def genuine(command: CommandMessage, parent: Live) -> Asked:
    """The command, as the parent's history has it. Raises ProtocolViolation for one it never issued."""
    state, path = parent.state, command.path
    step = state.steps.get(path)
    executions = () if step is None else (step.action, step.undo, *step.past)
    for execution in executions:
        if execution is None or (execution.kind, execution.number) != (command.kind, command.execution):
            continue
        template = template_of(parent.plan.step(path), execution)
        same = (template.service, template.name, template.version) == (
            SERVICE,
            command.command,
            command.command_version,
        )
        action = _action(executions, execution)
        if same and action is not None and _matches(state, command, execution):
            return Asked(command, parent, execution, action.body)
    detail = f"{path} {command.kind} execution {command.execution} was never issued so by {state.saga}"
    raise ProtocolViolation(Poison.UNKNOWN_EXECUTION, detail)


def _action(executions: Sequence[Execution | None], execution: Execution) -> Execution | None:
    """The action that started the child, or would have."""
    number = execution.number if execution.kind is Kind.ACTION else execution.undoes
    found = (each for each in executions if each is not None and each.kind is Kind.ACTION and each.number == number)
    return next(found, None)


def _matches(state: SagaState, command: CommandMessage, execution: Execution) -> bool:
    key = idempotency_key(state.saga, command.path, command.kind, command.execution)
    undoes = execution.undoes
    undone = None if undoes is None else idempotency_key(state.saga, command.path, Kind.ACTION, undoes)
    sent = (command.key, command.undoes, command.body)
    return sent == (key, undone, execution.body) and 1 <= command.attempt <= execution.attempt


def asks(command: CommandMessage, now: datetime) -> ParentAsks:
    """What a child that is there hears."""
    return ParentAsks(
        now=now,
        path=command.path,
        kind=command.kind,
        execution=command.execution,
        attempt=command.attempt,
        traceparent=command.traceparent,
        wait=command.kind is Kind.COMPENSATION and _waits(command.body),
    )


def _waits(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Undo).running is OnRunning.WAIT
    except msgspec.MsgspecError:
        return False


class _Undo(msgspec.Struct):
    running: OnRunning


def objection(asked: Asked, below_root: int) -> Refusal | None:
    """Why no child begins now; None when one does, or is tombstoned."""
    command, parent = asked.command, asked.parent
    if command.kind is Kind.COMPENSATION:
        if command.undoes_outcome == "unknown":
            return None
        return Refusal(RefusedCode.IN_DOUBT, "the child answered, and this store does not have it")
    if not pursued(parent.plan, parent.state, parent.plan.step(command.path), asked.execution):
        return Refusal(RefusedCode.CANCELLED, f"{parent.state.saga} does not wait for it any more")
    if parent.state.depth + 1 > CHILD_DEPTH_MAX:
        return Refusal(
            RefusedCode.TOO_LARGE, f"it would be sub-saga {parent.state.depth + 1} deep, at most {CHILD_DEPTH_MAX}"
        )
    if below_root >= CHILDREN_MAX:
        return Refusal(RefusedCode.TOO_LARGE, f"{parent.state.root} has {below_root} sub-sagas, at most {CHILDREN_MAX}")
    return None


def start(asked: Asked, definition: str, saga: str, now: datetime) -> Start:
    """The start of a child, or of the tombstone of one that its parent undid before it began."""
    command, parent = asked.command, asked.parent.state
    name, start_key = key_of(command)
    return Start(
        now=now,
        saga=saga,
        name=name,
        start_key=start_key,
        definition=definition,
        input=asked.input,
        message_id=command.message_id,
        by=SERVICE,
        traceparent=command.traceparent,
        untraced=parent.untraced,
        tombstone=command.kind is Kind.COMPENSATION,
        parent=ParentOf(
            saga=parent.saga,
            root=parent.root,
            path=command.path,
            kind=command.kind,
            execution=command.execution,
            attempt=command.attempt,
            depth=parent.depth + 1,
            requester=parent.requester,
        ),
    )


def refused(command: CommandMessage, refusal: Refusal) -> ReplyMessage:
    """Not this delivery."""
    return answer_to(command, Outcome.REFUSED, refusal.code, refusal.text, effect=ReplyEffect.NONE)


def reply_of(state: SagaState) -> ReplyMessage | None:
    """How a child ended, for its parent; None while it goes on, and for a root."""
    found = answer(state)
    if found is None:
        return None
    asked, outcome, code, message = found.asked, found.outcome, found.code, found.message
    body = found.body if outcome is not Outcome.REFUSED else b""
    if len(body) > BODY_BYTES_MAX:
        outcome, code, body = Outcome.REFUSED, RefusedCode.TOO_LARGE.value, b""
        message = f"the output of {state.saga} has {len(found.body)} bytes, at most {BODY_BYTES_MAX}"
    key = idempotency_key(asked.saga, asked.path, asked.kind, asked.execution)
    return ReplyMessage(
        saga=asked.saga,
        path=asked.path,
        kind=asked.kind,
        execution=asked.execution,
        attempt=asked.attempt,
        key=key,
        in_reply_to=attempt_id(key, asked.attempt),
        service=SERVICE,
        outcome=outcome,
        effect=found.effect if outcome is found.outcome else ReplyEffect.NONE,
        type=TYPE if body else "",
        body=body,
        code=code,
        message=message,
    )
