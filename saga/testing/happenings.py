"""What may happen to a saga, in the words of a test: `started`, `answered`, `time_passed`, `cancelled`, ..."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, assert_never

import msgspec

from saga.core import inputs as i
from saga.core.definition import CommandTemplate, Step
from saga.core.events import Choice
from saga.core.identity import attempt_id, idempotency_key
from saga.core.inputs import Verdict
from saga.core.messages import Kind, Outcome, ReplyEffect, ReplyMessage
from saga.core.operate import objection
from saga.core.state import Execution
from saga.engine.operate import NotPossible
from saga.participant.outcome import EMPTY_REPLY, sendable
from saga.participant.outcome import Answer as Said
from saga.testing.answers import Answer, Mishap, address, mishap_of, split
from saga.testing.outside import APPROVER, Deciding, decision_of, signal_of
from saga.testing.places import is_step
from saga.testing.scripts import check, encoded, encoded_failure, sender_of
from saga.testing.story import Story, start_of

ACTOR = "test"
REASON = "a test said so"


class Happening(msgspec.Struct, frozen=True):
    """Something that happens to a saga. Made by the functions of this module."""

    text: str
    input_of: Callable[[Story, datetime], i.Input]
    after: timedelta = timedelta(0)
    """Time that passes first."""


def started(given: msgspec.Struct, *, key: str | None = None, actor: str | None = None) -> Happening:
    """The saga is started with this input, by a gateway that vouches for `actor`."""
    text = f"started({type(given).__name__})"
    return Happening(text, lambda story, now: start_of(story, given, now, key=key, actor=actor))


def answered(step: str, answer: msgspec.Struct) -> Happening:
    """The last command of a step, or of its compensation (`charge.undo`), is answered.

    `answer` is a reply, a declared failure, `ok()`, `failed(...)`, `retry(...)` or `refused(...)`.
    """
    taken = mishap_of(answer)
    if taken != Mishap(answer=taken.answer) or taken.answer.outcome is None:
        raise TypeError(f"answered({step!r}, {answer!r}): here every answer arrives. Fix: a plain answer")
    return Happening(f"answered({step!r}, {_spelt(answer)})", lambda story, now: _reply(story, step, taken.answer, now))


def time_passed(time: timedelta) -> Happening:
    """So much time passes and the engine looks at the clock, once; everything sent has reached the broker."""
    return Happening(
        f"time_passed({time})", lambda story, now: i.Tick(now=now, dispatched_version=story.state.version), time
    )


def undelivered(step: str) -> Happening:
    """The broker returns the command: the service has no queue."""
    return Happening(f"undelivered({step!r})", lambda story, now: _undelivered(story, step, now))


def cancelled(reason: str = REASON) -> Happening:
    """Somebody asks for compensation."""
    return Happening(
        "cancelled()",
        lambda story, now: i.Cancel(
            now=now, request=f"cancel-{story.state.version}", by="operator", actor=ACTOR, reason=reason
        ),
    )


def abandoned(reason: str = REASON) -> Happening:
    """An operator closes the saga without undoing anything."""
    return Happening("abandoned()", lambda _, now: i.Abandon(now=now, actor=ACTOR, reason=reason))


def paused(reason: str = REASON) -> Happening:
    """An operator pauses the saga."""
    return Happening("paused()", lambda _, now: i.Pause(now=now, actor=ACTOR, reason=reason))


def resumed(reason: str = REASON) -> Happening:
    """An operator ends the pause."""
    return Happening("resumed()", lambda _, now: i.Resume(now=now, actor=ACTOR, reason=reason))


def resolved(
    step: str,
    verdict: Verdict,
    *,
    evidence: str = "",
    reply: msgspec.Struct | None = None,
    reason: str = REASON,
) -> Happening:
    """An operator moves a parked step."""

    def input_of(story: Story, now: datetime) -> i.Input:
        given = i.Resolve(
            now=now,
            path=split(step)[0],
            verdict=verdict,
            actor=ACTOR,
            reason=reason,
            evidence=evidence,
            reply=None if reply is None else msgspec.json.encode(reply),
        )
        refusal = objection(story.plan, story.state, given)
        if refusal is not None:
            raise NotPossible(refusal)
        return given

    return Happening(f"resolved({step!r}, {verdict})", input_of)


def signalled(name: str, body: msgspec.Struct, *, message_id: str | None = None) -> Happening:
    """Somebody outside sends a signal; the same `message_id` again is the same signal again."""
    return Happening(f"signalled({name!r})", lambda story, now: signal_of(story, name, body, now, message_id))


def approved(
    path: str,
    approver: str = APPROVER,
    *,
    roles: Collection[str] | None = None,
    edit: msgspec.Struct | None = None,
    reason: str = "",
) -> Happening:
    """A person approves, with these roles (None: those that were asked for); `edit` is the subject as changed."""
    held = None if roles is None else frozenset(roles)
    said = Deciding(path=path, choice=Choice.APPROVE, approver=approver, roles=held, edit=edit, reason=reason)
    return Happening(f"approved({path!r}, {approver!r})", lambda story, now: decision_of(story, said, now))


def rejected(
    path: str, approver: str = APPROVER, *, roles: Collection[str] | None = None, reason: str = REASON
) -> Happening:
    """A person says no."""
    held = None if roles is None else frozenset(roles)
    said = Deciding(path=path, choice=Choice.REJECT, approver=approver, roles=held, reason=reason)
    return Happening(f"rejected({path!r}, {approver!r})", lambda story, now: decision_of(story, said, now))


def _execution(story: Story, step: str) -> tuple[Step, Execution]:
    path, kind = split(step)
    if not is_step(story.plan, path):
        known = ", ".join(story.plan.steps)
        raise LookupError(f"{story.title} has no step {path!r}. Fix: one of {known}")
    current = story.state.steps.get(path)
    execution = None if current is None else current.action if kind is Kind.ACTION else current.undo
    if execution is None:
        sent = [
            address(name, each.kind)
            for name, state in story.state.steps.items()
            for each in (state.action, state.undo)
            if each is not None
        ]
        raise LookupError(
            f"{story.title}: {step!r} was not sent, so nobody answers it; sent were: {', '.join(sent) or 'none'}"
        )
    return story.plan.step(path), execution


def _reply(story: Story, where: str, answer: Answer, now: datetime) -> i.Input:
    step, execution = _execution(story, where)
    template = _template(step, execution)
    said = _said(step, template, execution.kind, answer)
    key = idempotency_key(story.state.saga, step.path, execution.kind, execution.number)
    message = ReplyMessage(
        saga=story.state.saga,
        path=step.path,
        kind=execution.kind,
        execution=execution.number,
        attempt=execution.attempt,
        key=key,
        in_reply_to=attempt_id(key, execution.attempt),
        service=template.service,
        outcome=said.outcome,
        effect=said.effect,
        type=said.type,
        body=said.body,
        code=said.code,
        message=said.message,
        retry_after=answer.after,
        cost=answer.cost,
        sender=sender_of(template),
    )
    return i.Reply(now=now, message=message)


def _said(step: Step, template: CommandTemplate, kind: Kind, answer: Answer) -> Said:
    """The answer as a participant gives it to the wire."""
    assert answer.outcome is not None, "answered() has looked"
    type_name, body = template.reply, b""
    if kind is Kind.ACTION:
        check(step, answer)
        if answer.outcome is Outcome.OK:
            type_name, body = encoded(step, answer.value)
        elif answer.outcome is Outcome.FAILED:
            type_name, body = encoded_failure(step, answer)
    elif answer.outcome is Outcome.OK:
        body = EMPTY_REPLY
    effect = ReplyEffect.APPLIED if answer.outcome is Outcome.OK else ReplyEffect.NONE
    said = Said(
        outcome=answer.outcome, effect=effect, type=type_name, body=body, code=answer.code, message=answer.message
    )
    return sendable(template.type_name, said) if body else said


def _undelivered(story: Story, where: str, now: datetime) -> i.Input:
    step, execution = _execution(story, where)
    return i.Undelivered(
        now=now,
        path=step.path,
        kind=execution.kind,
        execution=execution.number,
        attempt=execution.attempt,
        detail=f"no queue for {step.command.service}",
    )


def _template(step: Step, execution: Execution) -> CommandTemplate:
    match execution.kind:
        case Kind.ACTION:
            return step.command
        case Kind.COMPENSATION:
            assert step.undo is not None, f"{step.path} has no undo"
            return step.undo
        case _:
            assert_never(execution.kind)


def _spelt(answer: Any) -> str:
    if isinstance(answer, Answer):
        return f"{answer.outcome}{'/' if answer.code else ''}{answer.code}"
    return type(answer).__name__
