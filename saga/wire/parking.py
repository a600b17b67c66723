"""Parked messages: what nobody could use, kept with everything needed to send it again."""

import hashlib

import msgspec

from saga.core.errors import ProtocolViolation
from saga.core.limits import BODY_BYTES_MAX, HEADER_NAME_BYTES_MAX, HEADERS_BYTES_MAX, NAME_BYTES_MAX, headers_size
from saga.ports import Delivery, Outgoing, ParkedMessage
from saga.wire import fields, names
from saga.wire.screen import Poison, cut_text

PARKED_TEXT_BYTES_MAX = HEADERS_BYTES_MAX
"""Of each text of a parked message: a hostile header is kept as far as an honest one could go."""
PARK_DETAIL_BYTES_MAX = 1024
"""On the wire; a row takes more."""
FIRST_DEATH_QUEUE = "x-first-death-queue"
FIRST_DEATH_EXCHANGE = "x-first-death-exchange"
FIRST_DEATH_REASON = "x-first-death-reason"
"""The broker's word on where a dead letter came from, and why."""


def parked_from_delivery(delivery: Delivery, reason: str, detail: str) -> ParkedMessage:
    """A delivery as a row of the store. Never raises: texts no store would take are mended."""
    return ParkedMessage(
        origin=_clean(delivery.queue),
        reason=reason,
        detail=cut_text(detail),
        exchange=_clean(delivery.exchange),
        routing_key=_clean(delivery.routing_key),
        body=delivery.body,
        headers={_clean(name): _clean(value) for name, value in delivery.headers.items()},
        message_id=_clean(delivery.message_id),
        correlation_id=_clean(delivery.correlation_id),
        type=_clean(delivery.type),
        reply_to=_clean(delivery.reply_to),
        sender=None if delivery.sender is None else _clean(delivery.sender),
    )


def park_to_wire(delivery: Delivery, reason: str, detail: str) -> Outgoing:
    """A participant's way to park: the message goes to `saga.parking` under its queue's name.

    `user_id` cannot be copied (the broker refuses another's), so it travels as a header. Never raises, and what it
    makes can be sent: what is beyond a limit is cut, headers largest first.
    """
    added = {
        names.PARK_REASON: reason,
        names.PARK_DETAIL: cut_text(detail, PARK_DETAIL_BYTES_MAX),
        names.ORIGIN_QUEUE: _short(delivery.queue),
        names.ORIGIN_EXCHANGE: _short(delivery.exchange),
        names.ORIGIN_ROUTING_KEY: _short(delivery.routing_key),
    }
    if delivery.sender is not None:
        added[names.ORIGIN_USER_ID] = _short(delivery.sender)
    kept = {_clean(name): _clean(value) for name, value in delivery.headers.items() if name not in added}
    return Outgoing(
        exchange=names.EXCHANGE_PARKING,
        routing_key=_short(delivery.queue),
        body=delivery.body[:BODY_BYTES_MAX],
        message_id=_short(delivery.message_id) or hashlib.blake2b(delivery.body, digest_size=16).hexdigest(),
        type=_short(delivery.type),
        headers=_fitting(kept, HEADERS_BYTES_MAX - headers_size(added.items())) | added,
        correlation_id=_short(delivery.correlation_id),
        reply_to=_short(delivery.reply_to),
    )


def parked_from_wire(delivery: Delivery) -> ParkedMessage:
    """A delivery of `saga.parking` or `saga.dead` as a row. Never raises: what does not say where it came from is kept
    as it is."""
    headers = {_clean(name): _clean(value) for name, value in delivery.headers.items()}
    if delivery.queue == names.QUEUE_DEAD:
        origin = headers.get(FIRST_DEATH_QUEUE)
        exchange, routing_key = headers.get(FIRST_DEATH_EXCHANGE), None
        reason, detail, sender = Poison.DEAD_LETTERED.value, _death(headers), delivery.sender
    else:
        origin, sender = headers.get(names.ORIGIN_QUEUE), headers.get(names.ORIGIN_USER_ID)
        exchange, routing_key = headers.get(names.ORIGIN_EXCHANGE), headers.get(names.ORIGIN_ROUTING_KEY)
        reason = cut_text(headers.get(names.PARK_REASON, Poison.BAD_HEADER), 64)
        detail = headers.get(names.PARK_DETAIL, "")
    whole = parked_from_delivery(delivery, reason, detail)
    if origin is None:
        return whole
    return msgspec.structs.replace(
        whole,
        origin=origin,
        exchange=whole.exchange if exchange is None else exchange,
        routing_key=whole.routing_key if routing_key is None else routing_key,
        headers={name: value for name, value in headers.items() if name not in names.PARK_HEADERS},
        sender=sender,
    )


def _death(headers: dict[str, str]) -> str:
    """Why the broker took it out of its queue."""
    match headers.get(FIRST_DEATH_REASON):
        case "expired":
            return "nobody took it for days; the saga asks again by itself, or its step is parked"
        case "delivery_limit":
            return "given back too often"
        case reason:
            return f"given back too often, or refused by its queue ({reason or 'no reason told'})"


def check_sender(sender: str | None, allowed: frozenset[str]) -> None:
    """Refuse a message whose sender the broker does not vouch for, or who may not speak here. Raises
    ProtocolViolation."""
    if sender is None or sender not in allowed:
        who = "nobody vouched for" if sender is None else fields.shown(sender)
        wanted = ", ".join(sorted(allowed))
        raise ProtocolViolation(Poison.FORGED_SENDER, cut_text(f"sent by {who}, wanted {wanted}"))


def _clean(text: str) -> str:
    return cut_text(text, PARKED_TEXT_BYTES_MAX)


def _short(text: str) -> str:
    """As AMQP's short strings allow."""
    return cut_text(text, NAME_BYTES_MAX)


def _fitting(headers: dict[str, str], limit_bytes: int) -> dict[str, str]:
    """As many headers as fit the limit, the small ones first."""
    kept: dict[str, str] = {}
    for name, value in sorted(headers.items(), key=lambda item: headers_size([item])):
        limit_bytes -= headers_size([(name, value)])
        if limit_bytes < 0:
            break
        if 0 < len(name.encode()) <= HEADER_NAME_BYTES_MAX:
            kept[name] = value
    return kept
