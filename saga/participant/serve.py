"""The steps of a serving process: answer deliveries, then publish the answers and settle what was confirmed."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from saga.core.errors import ProtocolViolation, Unavailable
from saga.participant import inbox
from saga.participant.answering import answer_command, unhandled, unreadable
from saga.participant.job import Serving
from saga.participant.together import answer_together, may_share
from saga.ports import Bus, Delivery, Outgoing, Subscription
from saga.wire import check_json, command_envelope, park_to_wire, reply_to_wire

PURGE_ROWS_MAX: Final = 1_000
"""Forgotten by one step, so that no transaction grows long."""

log = logging.getLogger("saga.participant")


class Answered(msgspec.Struct, frozen=True):
    """A delivery with what has to be published before it may be acknowledged."""

    delivery: Delivery
    messages: tuple[Outgoing, ...]
    """Empty: nothing was begun, give it back."""
    problem: str = ""
    """Why it is given back, for people."""


class Published(msgspec.Struct, frozen=True):
    """How a batch of answers went."""

    acked: int
    released: int
    problem: str = ""
    """Why some were given back, for people."""


async def answer_delivery(serving: Serving, delivery: Delivery) -> Answered:
    """Read one delivery and do what it asks. Never raises for the message's sake, nor while the database is away.

    What fails around the handler is answered like a failing handler: the saga says it, and nobody else waits for it.
    """
    try:
        command = command_envelope(delivery)
    except ProtocolViolation as violation:
        serving.counts.unreadable(violation.code)
        return _parked(delivery, violation)
    try:
        check_json(delivery.body)
    except ProtocolViolation as violation:
        serving.counts.unreadable(violation.code)
        parked = _parked(delivery, violation)
        return Answered(delivery, (*parked.messages, reply_to_wire(unreadable(command, str(violation)))))
    try:
        reply = await answer_command(serving, command)
    except Unavailable as away:
        serving.counts.given_back()
        return Answered(delivery, (), str(away))
    except Exception as error:
        log.exception("a command could not be handled", extra={"command": command.type_name, "key": command.key})
        reply = unhandled(command, error)
    serving.counts.answered(command.type_name, reply)
    return Answered(delivery, (reply_to_wire(reply),))


async def answer_group(serving: Serving, deliveries: Sequence[Delivery]) -> list[Answered]:
    """Answer deliveries that `may_share` a transaction; those that cannot after all, each in its own."""
    replies = await answer_together(serving, deliveries) if len(deliveries) > 1 else {}
    for delivery in deliveries:
        if (reply := replies.get(delivery.token)) is not None:
            serving.counts.answered(delivery.routing_key, reply)
    alone = [delivery for delivery in deliveries if delivery.token not in replies]
    answered = [
        Answered(delivery, (reply_to_wire(replies[delivery.token]),))
        for delivery in deliveries
        if delivery.token in replies
    ]
    return [*answered, *await asyncio.gather(*(answer_delivery(serving, delivery) for delivery in alone))]


def grouped(serving: Serving, deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """What is to be answered at once: groups of those that may share a transaction, and each other one by itself."""
    size = serving.participant.commands_per_transaction
    sharing = [delivery for delivery in deliveries if may_share(serving, delivery)]
    kept_apart = set(map(id, sharing))
    groups: list[Sequence[Delivery]] = [sharing[at : at + size] for at in range(0, len(sharing), size)]
    return groups + [[delivery] for delivery in deliveries if id(delivery) not in kept_apart]


async def publish_answers(bus: Bus, subscription: Subscription, answered: Sequence[Answered]) -> Published:
    """Publish the answers of a batch; acknowledge what the broker confirmed, give back the rest.

    An answer with an unknown fate may arrive twice: the redelivered command replays it from the inbox.
    """
    messages = [message for one in answered for message in one.messages]
    sent = iter(await bus.publish(messages) if messages else [])
    acked: list[Delivery] = []
    released: list[Delivery] = []
    problem = ""
    for one in answered:
        fates = [next(sent) for _ in one.messages]
        failed = next((fate for fate in fates if fate.outcome != "confirmed"), None)
        if fates and failed is None:
            acked.append(one.delivery)
        else:
            released.append(one.delivery)
            problem = one.problem if failed is None else f"an answer was not sent, {failed.outcome}: {failed.detail}"
    await subscription.settle(acked, released)
    return Published(len(acked), len(released), problem)


async def serve_batch(
    serving: Serving, bus: Bus, subscription: Subscription, deliveries: Sequence[Delivery]
) -> Published:
    """Answer all of a batch, as many at once as the participant allows, then publish and settle."""
    turns = asyncio.Semaphore(serving.participant.concurrency)

    async def in_turn(group: Sequence[Delivery]) -> list[Answered]:
        async with turns:
            return await answer_group(serving, group)

    answered = await asyncio.gather(*(in_turn(group) for group in grouped(serving, deliveries)))
    return await publish_answers(bus, subscription, [one for group in answered for one in group])


async def purge(serving: Serving, limit: int = PURGE_ROWS_MAX) -> int:
    """Forget rows older than their contract says; returns how many. Call again while it returns `limit`.

    Raises what the database raises.
    """
    if not serving.has_database():
        return 0
    database = serving.database
    async with database.begin() as tx:
        return await inbox.purge(tx, database.dialect, limit)


async def ask(serving: Serving) -> None:
    """See that the database answers, if there is one, and as a handler would ask it unless one is at it: then it may
    have to wait for its turn. Raises what the database raises."""
    if serving.has_database():
        async with serving.begin_short() if serving.running else serving.database.begin() as tx:
            await tx.execute("select 1")


def _parked(delivery: Delivery, violation: ProtocolViolation) -> Answered:
    about = {"queue": delivery.queue, "code": violation.code, "text": violation.detail}
    log.warning("message parked", extra=about)
    return Answered(delivery, (park_to_wire(delivery, violation.code, violation.detail),))
