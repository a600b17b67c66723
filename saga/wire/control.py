"""What callers say to a saga that is there: signals, cancels and decisions."""

import re
from typing import Annotated, TypeVar

import msgspec

from saga.core.errors import ProtocolViolation
from saga.core.expression import JSON_NULL
from saga.core.messages import CancelMessage, Choice, DecideMessage, SignalMessage, ToSaga
from saga.ports import Delivery, Outgoing
from saga.wire import fields, names
from saga.wire.callers import reply_address
from saga.wire.screen import KEY_CHARACTERS_MAX, PATH_CHARACTERS_MAX, Poison, check_json, cut_text, screen

Body = TypeVar("Body", bound=msgspec.Struct)

_DIGEST = re.compile(r"[0-9a-f]{64}")


def signal_to_wire(signal: SignalMessage) -> Outgoing:
    """The message that tells a saga something. Sending it again with the same id tells it once."""
    sent = _outgoing(signal, names.EXCHANGE_SIGNALS, signal.name or "", signal.signal, signal.body)
    return msgspec.structs.replace(sent, headers={k: v for k, v in sent.headers.items() if k != names.NAME})


def signal_from_wire(delivery: Delivery) -> SignalMessage:
    """The signal in a delivery; the routing key names the definition. Raises ProtocolViolation."""
    screen(delivery)
    name = fields.limited("the routing key", fields.present("the routing key", delivery.routing_key))
    fields.agrees(names.NAME, delivery.headers.get(names.NAME), name)
    check_json(delivery.body)
    by_id = bool(delivery.correlation_id)
    return SignalMessage(
        saga=fields.saga_id(delivery.correlation_id) if by_id else None,
        name=name,
        business_key=None if by_id else fields.text(delivery, names.KEY, KEY_CHARACTERS_MAX),
        signal=fields.limited("type", fields.present("type", delivery.type)),
        body=delivery.body,
        message_id=_message_id(delivery),
        reply_to=reply_address(delivery),
        sender=delivery.sender,
        actor=_actor(delivery),
    )


def cancel_to_wire(cancel: CancelMessage) -> Outgoing:
    """The message that asks for cancel with compensation."""
    body = msgspec.json.encode(_CancelBody(reason=cancel.reason))
    return _outgoing(cancel, names.EXCHANGE_CONTROL, names.VERB_CANCEL, names.TYPE_CANCEL, body)


def decide_to_wire(decision: DecideMessage) -> Outgoing:
    """The message that brings a person's decision."""
    content = _DecideBody(
        path=decision.path,
        decision=decision.choice,
        digest=decision.digest,
        number=decision.number,
        reason=decision.reason,
        edited=msgspec.UNSET if decision.edited is None else msgspec.Raw(decision.edited),
    )
    body = msgspec.json.encode(content)
    return _outgoing(decision, names.EXCHANGE_CONTROL, names.VERB_DECIDE, names.TYPE_DECIDE, body)


def control_from_wire(delivery: Delivery) -> CancelMessage | DecideMessage:
    """The control message in a delivery; the broker must vouch for its sender. Raises ProtocolViolation."""
    screen(delivery)
    match delivery.routing_key:
        case names.VERB_CANCEL:
            return _cancel(delivery)
        case names.VERB_DECIDE:
            return _decide(delivery)
        case verb:
            raise ProtocolViolation(Poison.UNKNOWN_VERB, f"no such control verb: {fields.shown(verb)}")


def _cancel(delivery: Delivery) -> CancelMessage:
    _vouched(delivery, names.TYPE_CANCEL)
    saga, name, key = _addressed(delivery)
    return CancelMessage(
        saga=saga,
        name=name,
        business_key=key,
        message_id=_message_id(delivery),
        reason=cut_text(_read(delivery.body, _CancelBody, "cancel").reason) if delivery.body else "",
        reply_to=reply_address(delivery),
        sender=delivery.sender,
        actor=_actor(delivery),
    )


def _decide(delivery: Delivery) -> DecideMessage:
    _vouched(delivery, names.TYPE_DECIDE)
    saga, name, key = _addressed(delivery)
    content = _read(delivery.body, _DecideBody, "decision")
    if not _DIGEST.fullmatch(content.digest):
        raise ProtocolViolation(Poison.INVALID_PAYLOAD, "no decision: its digest is not 64 hex characters")
    edited = JSON_NULL if content.edited is msgspec.UNSET else bytes(content.edited)
    return DecideMessage(
        saga=saga,
        name=name,
        business_key=key,
        path=content.path,
        choice=content.decision,
        digest=content.digest,
        message_id=_message_id(delivery),
        number=content.number,
        reason=cut_text(content.reason),
        edited=None if edited == JSON_NULL else edited,
        reply_to=reply_address(delivery),
        sender=delivery.sender,
        actor=fields.text(delivery, names.ACTOR, KEY_CHARACTERS_MAX),
    )


def _vouched(delivery: Delivery, type_name: str) -> None:
    fields.agrees("type", delivery.type, type_name)
    if not delivery.sender:
        raise ProtocolViolation(Poison.FORGED_SENDER, "a control message must carry its sender's user_id")


def _addressed(delivery: Delivery) -> tuple[str | None, str | None, str | None]:
    """Saga id, or name and business key."""
    if delivery.correlation_id:
        return fields.saga_id(delivery.correlation_id), None, None
    return None, fields.text(delivery, names.NAME), fields.text(delivery, names.KEY, KEY_CHARACTERS_MAX)


def _message_id(delivery: Delivery) -> str:
    return fields.present("message_id", fields.caller_message_id(delivery))


def _actor(delivery: Delivery) -> str | None:
    return fields.optional_text(delivery, names.ACTOR, KEY_CHARACTERS_MAX)


def _outgoing(said: ToSaga, exchange: str, routing_key: str, type_name: str, body: bytes) -> Outgoing:
    headers = {names.NAME: said.name, names.KEY: said.business_key, names.ACTOR: said.actor}
    return Outgoing(
        exchange=exchange,
        routing_key=routing_key,
        body=body,
        message_id=said.message_id,
        type=type_name,
        headers={name: value for name, value in headers.items() if value is not None},
        correlation_id=said.saga or "",
        reply_to=said.reply_to,
    )


def _read(body: bytes, kind: type[Body], what: str) -> Body:
    check_json(body)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise ProtocolViolation(Poison.INVALID_PAYLOAD, cut_text(f"no {what}: {error}")) from None


class _CancelBody(msgspec.Struct, frozen=True):
    reason: str = ""


class _DecideBody(msgspec.Struct, frozen=True, omit_defaults=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=PATH_CHARACTERS_MAX)]
    decision: Choice
    digest: str
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reason: str = ""
    edited: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
