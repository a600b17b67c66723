"""Starts from callers, and the results they hear."""

import hashlib
import re

import msgspec

from saga.core.errors import ProtocolViolation
from saga.core.messages import ResultKind, ResultMessage, StartMessage
from saga.ports import Delivery, Outgoing
from saga.wire import fields, names
from saga.wire.screen import KEY_CHARACTERS_MAX, Poison, check_json, cut_text, screen

BY_KEY = "k:"
BY_MESSAGE = "m:"

_REPLY_TO = re.compile(r"[^.#*\s]{1,64}(\.[^.#*\s]{1,64}){1,3}")


def start_to_wire(start: StartMessage) -> Outgoing:
    """The message that asks for a saga. Sending it again with the same bytes asks for the same saga."""
    headers: dict[str, str] = {}
    if start.start_key.startswith(BY_KEY):
        headers[names.KEY] = start.start_key.removeprefix(BY_KEY)
    if start.version is not None:
        headers[names.VERSION] = str(start.version)
    if start.actor is not None:
        headers[names.ACTOR] = start.actor
    if start.traceparent is not None:
        headers[names.TRACEPARENT] = start.traceparent
    return Outgoing(
        exchange=names.EXCHANGE_START,
        routing_key=start.name,
        body=start.input,
        message_id=start.message_id,
        type=start.name,
        headers=headers,
        reply_to=start.reply_to,
    )


def start_from_wire(delivery: Delivery) -> StartMessage:
    """The start in a delivery; its name is the routing key. Raises ProtocolViolation."""
    screen(delivery)
    name = fields.limited("the routing key", fields.present("the routing key", delivery.routing_key))
    fields.agrees("type", delivery.type, name)
    fields.agrees(names.NAME, delivery.headers.get(names.NAME), name)
    check_json(delivery.body)
    message_id = fields.caller_message_id(delivery)
    key = fields.optional_text(delivery, names.KEY, KEY_CHARACTERS_MAX)
    if key is None:
        fields.present("message_id, wanted where there is no saga-key,", message_id)
    return StartMessage(
        name=name,
        version=fields.number(delivery, names.VERSION) if delivery.headers.get(names.VERSION) else None,
        start_key=BY_MESSAGE + message_id if key is None else BY_KEY + key,
        input=delivery.body,
        message_id=message_id,
        reply_to=reply_address(delivery),
        sender=delivery.sender,
        actor=fields.optional_text(delivery, names.ACTOR, KEY_CHARACTERS_MAX),
        traceparent=fields.trace(delivery)[0],
    )


def result_to_wire(result: ResultMessage) -> Outgoing:
    """The answer to a caller. Not mandatory: it may be gone. The same answer has the same id, however often sent."""
    content = _ResultBody(
        saga=result.saga,
        existing=result.existing,
        code=result.code,
        reason=cut_text(result.reason),
        status=result.status,
        output=msgspec.Raw(result.output) if result.output else msgspec.UNSET,
    )
    identity = f"{result.in_reply_to}\0{result.saga}\0{result.kind}\0{result.code}"
    return Outgoing(
        exchange=names.EXCHANGE_RESULTS,
        routing_key=result.reply_to,
        body=msgspec.json.encode(content),
        message_id=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        type=names.result_type(result.kind),
        headers={names.IN_REPLY_TO: result.in_reply_to},
        correlation_id=result.saga,
        mandatory=False,
    )


def result_from_wire(delivery: Delivery) -> ResultMessage:
    """The answer in a delivery on a caller's own queue. Raises ProtocolViolation."""
    screen(delivery)
    kind = next((kind for kind in ResultKind if delivery.type == names.result_type(kind)), None)
    if kind is None:
        raise fields.bad("type", delivery.type, "one of " + ", ".join(map(names.result_type, ResultKind)))
    check_json(delivery.body)
    try:
        content = _RESULT.decode(delivery.body)
    except msgspec.MsgspecError as error:
        raise ProtocolViolation(Poison.INVALID_PAYLOAD, cut_text(f"no result: {error}")) from None
    return ResultMessage(
        kind=kind,
        reply_to=delivery.routing_key,
        in_reply_to=delivery.headers.get(names.IN_REPLY_TO, ""),
        saga=content.saga,
        existing=content.existing,
        code=content.code,
        reason=content.reason,
        status=content.status,
        output=b"" if content.output is msgspec.UNSET else bytes(content.output),
    )


def reply_address(delivery: Delivery) -> str:
    """Where the caller wants to hear, or nothing. The first word must be the user the broker vouches for, so that
    nobody sends answers to another's queue. Raises ProtocolViolation."""
    address = delivery.reply_to
    if not address:
        return ""
    if not _REPLY_TO.fullmatch(address) or (
        delivery.sender is not None and not address.startswith(delivery.sender + ".")
    ):
        raise fields.bad("reply_to", address, "<your broker user>.<client>")
    return address


class _ResultBody(msgspec.Struct, frozen=True, omit_defaults=True):
    saga: str = ""
    existing: bool = False
    code: str = ""
    reason: str = ""
    status: str = ""
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_RESULT = msgspec.json.Decoder(_ResultBody)
