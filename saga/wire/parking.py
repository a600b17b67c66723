"""Parked messages: what nobody could use, kept with everything needed to send it again."""

from saga.core.errors import ProtocolViolation
from saga.ports import Delivery, Outgoing, ParkedMessage
from saga.wire import fields, names
from saga.wire.screen import HEADER_BYTES_MAX, Poison, cut_text

PARKED_TEXT_BYTES_MAX = HEADER_BYTES_MAX
"""Of each text of a parked message: a hostile header is kept as far as an honest one could go."""


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

    `user_id` cannot be copied (the broker refuses another's), so it travels as a header. Never raises; headers that
    would not fit a frame are dropped, largest first.
    """
    headers = _fitting({_clean(name): _clean(value) for name, value in delivery.headers.items()})
    headers |= {
        names.PARK_REASON: reason,
        names.PARK_DETAIL: cut_text(detail),
        names.ORIGIN_QUEUE: _short(delivery.queue),
        names.ORIGIN_EXCHANGE: _short(delivery.exchange),
        names.ORIGIN_ROUTING_KEY: _short(delivery.routing_key),
    }
    if delivery.sender is not None:
        headers[names.ORIGIN_USER_ID] = _short(delivery.sender)
    return Outgoing(
        exchange=names.EXCHANGE_PARKING,
        routing_key=_short(delivery.queue),
        body=delivery.body,
        message_id=_short(delivery.message_id),
        type=_short(delivery.type),
        headers=headers,
        correlation_id=_short(delivery.correlation_id),
        reply_to=_short(delivery.reply_to),
    )


def parked_from_wire(delivery: Delivery) -> ParkedMessage:
    """A delivery of `saga.parking` or `saga.dead` as a row. Never raises: what does not say where it came from is kept
    as it is."""
    headers = {_clean(name): _clean(value) for name, value in delivery.headers.items()}
    dead = delivery.queue == names.QUEUE_DEAD
    reason = headers.get(names.PARK_REASON) or (Poison.DEAD_LETTERED if dead else Poison.BAD_HEADER)
    whole = parked_from_delivery(delivery, cut_text(reason, 64), headers.get(names.PARK_DETAIL, ""))
    if names.ORIGIN_QUEUE not in headers:
        return whole
    return ParkedMessage(
        origin=headers[names.ORIGIN_QUEUE],
        reason=whole.reason,
        detail=whole.detail,
        exchange=headers.get(names.ORIGIN_EXCHANGE, ""),
        routing_key=headers.get(names.ORIGIN_ROUTING_KEY, ""),
        body=whole.body,
        headers={name: value for name, value in headers.items() if name not in names.PARK_HEADERS},
        message_id=whole.message_id,
        correlation_id=whole.correlation_id,
        type=whole.type,
        reply_to=whole.reply_to,
        sender=headers.get(names.ORIGIN_USER_ID),
    )


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
    return cut_text(text, 255)


def _fitting(headers: dict[str, str]) -> dict[str, str]:
    """As many headers as fit the limit, the small ones first."""
    kept: dict[str, str] = {}
    size_bytes = 0
    for name, value in sorted(headers.items(), key=lambda item: len(item[0]) + len(item[1])):
        size_bytes += len(name.encode()) + len(value.encode())
        if size_bytes > HEADER_BYTES_MAX:
            break
        kept[name] = value
    return kept
