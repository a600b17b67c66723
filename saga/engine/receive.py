"""From deliveries to work: what a message asks for, or why it is poison."""

import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from saga.core.about import Fields, of_command, of_reply, of_saga
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Delivered, Undelivered
from saga.core.messages import CommandMessage, ReplyMessage, ResultKind, ResultMessage, StartMessage, ToSaga
from saga.ports import Delivery, ParkedMessage
from saga.wire import (
    command_from_wire,
    control_from_wire,
    names,
    parked_from_delivery,
    parked_from_wire,
    reply_address,
    reply_from_wire,
    signal_from_wire,
    start_from_wire,
)

log = logging.getLogger("saga.engine")

ENGINE_DEFECT = "engine-defect"
"""Code of a message that is parked through no fault of its sender: a defect of the engine, or a damaged store."""


class Work(msgspec.Struct, frozen=True, eq=False):
    """Something to be decided on. A delivery is acknowledged only after what it led to is committed."""

    asks: StartMessage | CommandMessage | ReplyMessage | ToSaga | Undelivered | Delivered | ParkedMessage | None
    """None: look at the clock."""
    saga: str = ""
    """Known for all but starts, commands to the engine, and what is said to a saga by its business key."""
    delivery: Delivery | None = None
    refusal: ResultMessage | None = None
    """With a ParkedMessage: what the caller is told."""
    hold_until: datetime | None = None
    """Of a signal that came before its saga: when it is given up. Set when it is held first."""
    due_at: datetime | None = None
    """Of a look at the clock: when the alarm was set to ring."""


_DECODERS: dict[str, Callable[[Delivery], StartMessage | CommandMessage | ReplyMessage | ToSaga | ParkedMessage]] = {
    names.QUEUE_START: start_from_wire,
    names.QUEUE_CHILDREN: command_from_wire,
    names.QUEUE_REPLIES: reply_from_wire,
    names.QUEUE_SIGNALS: signal_from_wire,
    names.QUEUE_CONTROL: control_from_wire,
    names.QUEUE_PARKING: parked_from_wire,
    names.QUEUE_DEAD: parked_from_wire,
}
QUEUES = tuple(_DECODERS)


def work_of(delivery: Delivery) -> Work:
    """What a delivery asks for. Never raises: poison becomes a row to be parked."""
    try:
        message = _DECODERS[delivery.queue](delivery)
    except ProtocolViolation as violation:
        return park(delivery, violation.code, violation.detail)
    saga = message.saga or "" if isinstance(message, ReplyMessage | ToSaga) else ""
    if isinstance(message, ReplyMessage) and message.cost is not None and not message.cost:
        log.warning("the cost of a reply cannot be read", extra=of_reply(message) | {"service": message.service})
    return Work(message, saga, delivery)


def park(delivery: Delivery, code: str, detail: str, asks: object = None) -> Work:
    """Keep a message that cannot be used, and tell a caller who can be told. `asks` is what could be read of it."""
    about = _about(asks) | {"queue": delivery.queue, "code": code, "text": detail}
    log.warning("message parked", extra=about)
    return Work(parked_from_delivery(delivery, code, detail), "", delivery, _refusal(delivery, code, detail))


def _about(asks: object) -> Fields:
    match asks:
        case ReplyMessage():
            return of_reply(asks)
        case CommandMessage():
            return of_command(asks)
        case ToSaga(saga=str() as saga):
            return of_saga(saga)
        case _:
            return {}


def _refusal(delivery: Delivery, code: str, detail: str) -> ResultMessage | None:
    if delivery.queue not in (names.QUEUE_START, names.QUEUE_SIGNALS, names.QUEUE_CONTROL):
        return None
    try:
        address = reply_address(delivery)
    except ProtocolViolation:
        return None
    if not address:
        return None
    return ResultMessage(
        kind=ResultKind.REFUSED, reply_to=address, in_reply_to=delivery.message_id, code=str(code), reason=detail
    )
