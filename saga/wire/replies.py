"""Replies: from a participant to the orchestrators."""

import re

from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.cost import spelt
from saga.ports import Delivery, Outgoing
from saga.wire import fields, names
from saga.wire.screen import ERROR_TEXT_BYTES_MAX, PATH_CHARACTERS_MAX, check_json, cut_text, screen

TYPE_CHARACTERS_MAX = 140
"""Two names, a version, two dots."""

_ROUTING_KEY = re.compile(r"([A-Za-z0-9_-]{1,64})\.(ok|failed|retry|refused)")


def reply_to_wire(reply: ReplyMessage, message_id: str = "") -> Outgoing:
    """The message that answers one attempt. `message_id` is for people: nothing looks at it."""
    headers = {
        names.STEP: reply.path,
        names.KIND: reply.kind.value,
        names.EXECUTION: str(reply.execution),
        names.ATTEMPT: str(reply.attempt),
        names.IDEMPOTENCY_KEY: reply.key,
        names.IN_REPLY_TO: reply.in_reply_to,
        names.OUTCOME: reply.outcome.value,
        names.EFFECT: reply.effect.value,
    }
    if reply.outcome is not Outcome.OK:
        headers[names.CODE] = reply.code
        if reply.message:
            headers[names.MESSAGE] = cut_text(reply.message)
    if reply.retry_after is not None:
        headers[names.RETRY_AFTER_MS] = fields.to_milliseconds(reply.retry_after)
    if reply.handler_time is not None:
        headers[names.HANDLER_MS] = fields.to_milliseconds(reply.handler_time)
    if reply.cost:
        headers[names.COST] = spelt(reply.cost)
    if reply.traceparent is not None:
        headers[names.TRACEPARENT] = reply.traceparent
    return Outgoing(
        exchange=names.EXCHANGE_REPLIES,
        routing_key=f"{reply.service}.{reply.outcome}",
        body=reply.body,
        message_id=message_id or f"{reply.in_reply_to}.reply",
        type=reply.type,
        headers=headers,
        correlation_id=reply.saga,
    )


def reply_from_wire(delivery: Delivery) -> ReplyMessage:
    """The reply in a delivery. Whether its sender may speak for its service is for the engine to check.

    Raises ProtocolViolation.
    """
    screen(delivery)
    match = _ROUTING_KEY.fullmatch(delivery.routing_key)
    if match is None:
        raise fields.bad("the routing key", delivery.routing_key, "<service>.<ok, failed, retry or refused>")
    service, outcome = match[1], Outcome(match[2])
    fields.agrees(names.OUTCOME, delivery.headers.get(names.OUTCOME), outcome.value)
    settles = outcome is Outcome.OK or outcome is Outcome.FAILED
    if settles or delivery.body:
        check_json(delivery.body)
    return ReplyMessage(
        saga=fields.saga_id(delivery.correlation_id),
        path=fields.text(delivery, names.STEP, PATH_CHARACTERS_MAX),
        kind=fields.choice(names.KIND, delivery.headers.get(names.KIND), Kind),
        execution=fields.number(delivery, names.EXECUTION),
        attempt=fields.number(delivery, names.ATTEMPT),
        key=fields.idempotency_key(names.IDEMPOTENCY_KEY, delivery.headers.get(names.IDEMPOTENCY_KEY)),
        in_reply_to=fields.text(delivery, names.IN_REPLY_TO),
        service=service,
        outcome=outcome,
        effect=_effect(delivery, outcome),
        type=_type(delivery, service, required=settles),
        body=delivery.body,
        code=_code(delivery, outcome),
        message=_message(delivery, outcome),
        retry_after=fields.milliseconds(delivery, names.RETRY_AFTER_MS),
        handler_time=fields.milliseconds(delivery, names.HANDLER_MS),
        cost=fields.cost(delivery),
        sender=delivery.sender,
        traceparent=fields.trace(delivery)[0],
    )


def answer(
    command: CommandMessage, outcome: Outcome, code: str = "", message: str = "", *, effect: ReplyEffect
) -> ReplyMessage:
    """A reply to this command with its addresses echoed, without type and body."""
    return ReplyMessage(
        saga=command.saga,
        path=command.path,
        kind=command.kind,
        execution=command.execution,
        attempt=command.attempt,
        key=command.key,
        in_reply_to=command.message_id,
        service=command.service,
        outcome=outcome,
        effect=effect,
        type="",
        body=b"",
        code=code,
        message=cut_text(message),
        traceparent=command.traceparent,
    )


def _effect(delivery: Delivery, outcome: Outcome) -> ReplyEffect:
    value = delivery.headers.get(names.EFFECT)
    if not value and outcome is not Outcome.OK:
        return ReplyEffect.NONE
    return fields.choice(names.EFFECT, value, ReplyEffect)


def _type(delivery: Delivery, service: str, *, required: bool) -> str:
    """The body's type name, which must belong to the service of the routing key."""
    name = fields.limited("type", delivery.type, TYPE_CHARACTERS_MAX)
    if required:
        fields.present("type", name)
    if name:
        fields.agrees("type", name.partition(".")[0], service)
    return name


def _code(delivery: Delivery, outcome: Outcome) -> str:
    value = delivery.headers.get(names.CODE)
    match outcome:
        case Outcome.OK:
            if value:
                raise fields.bad(names.CODE, value, "no code on an ok")
            return ""
        case Outcome.REFUSED:
            return fields.choice(names.CODE, value, RefusedCode).value
        case Outcome.FAILED | Outcome.RETRY:
            return fields.text(delivery, names.CODE)


def _message(delivery: Delivery, outcome: Outcome) -> str:
    if outcome is Outcome.OK:
        return ""
    return cut_text(delivery.headers.get(names.MESSAGE, ""), ERROR_TEXT_BYTES_MAX)
