"""The step that puts a parked message back where it came from.

A start or a command is published again, as nobody's: the broker refuses another's `user_id`; a command only as long
as the engine itself would send it. A reply, and what was said to a saga, is believed for its sender, which only the
store still knows: it goes into the journal with the identity it came with.
A message is noted as redriven only after its publishing was confirmed, or what it led to was committed: whatever
happens in between, it is sent again rather than lost, and every consumer knows a repetition.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from saga.core.address import template
from saga.core.blocks import Step
from saga.core.decide import Decision, decide
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Reply
from saga.core.messages import CommandMessage, Kind, ReplyMessage, ToSaga
from saga.core.plan import Plan
from saga.core.replies import screen
from saga.core.retry import forgotten
from saga.core.state import Execution, SagaState
from saga.engine import said
from saga.engine.cache import Live
from saga.engine.operate import BY_OPERATOR, NoSuchSaga, NotPossible, commit_decision
from saga.engine.settings import Trust
from saga.ports import (
    Bus,
    Clock,
    CommitUnknown,
    Delivery,
    Outgoing,
    ParkedAction,
    ParkedMessage,
    ParkedRow,
    ParkedVerb,
    Store,
    Unavailable,
)
from saga.wire import command_from_wire, control_from_wire, names, reply_from_wire, signal_from_wire, start_from_wire
from saga.wire.callers import BY_KEY

NOTE_TRIES = 3


class NoWayBack(NotPossible):
    """A parked message stays parked; the text says why and what to do."""

    code = "SAGA-3007"


Way = Outgoing | ReplyMessage | ToSaga
"""Published, or decided on."""


class Redriving(msgspec.Struct, frozen=True):
    """Who wants it, and why."""

    actor: str
    reason: str
    trust: Trust = Trust()
    rehearsed: bool = False
    """Every check is made; nothing is sent, committed or noted."""


def way_back(row: ParkedRow) -> Way:
    """How this message gets back. Raises NoWayBack when it cannot, or would only be parked again."""
    message = row.message
    try:
        match message.exchange:
            case names.EXCHANGE_START:
                start_from_wire(_as_delivered(message, sender=None))
                return _outgoing(message)
            case names.EXCHANGE_COMMANDS:
                command_from_wire(_as_delivered(message, sender=None))
                return _outgoing(message)
            case names.EXCHANGE_REPLIES:
                return reply_from_wire(_as_delivered(message, sender=message.sender))
            case names.EXCHANGE_SIGNALS:
                return signal_from_wire(_as_delivered(message, sender=message.sender))
            case names.EXCHANGE_CONTROL:
                return control_from_wire(_as_delivered(message, sender=message.sender))
            case _:
                place = f"queue {message.origin!r}, exchange {message.exchange!r}"
                raise NoWayBack(f"message {row.id} does not say where to go back to ({place}). {_discard(row)}")
    except ProtocolViolation as violation:
        raise NoWayBack(f"message {row.id} would only be parked again: {violation}. {_discard(row)}") from None


async def redrive(
    store: Store, bus: Callable[[], Awaitable[Bus]], clock: Clock, row: ParkedRow, wish: Redriving
) -> None:
    """Put it back, or only find out whether it would go. The broker is asked for only when it is needed.

    Raises NoWayBack with the reason why the message stays parked, Unavailable.
    """
    way = way_back(row)
    try:
        match way:
            case Outgoing():
                if way.exchange == names.EXCHANGE_COMMANDS:
                    await _check_command(store, clock, row)
                if not wish.rehearsed:
                    # Noted first: what is parked again from now on is a row of its own.
                    await note(store, row.id, "redriving", wish)
                    await _publish(await bus(), row, way)
            case ReplyMessage():
                await _reply(store, clock, row, way, wish)
            case ToSaga():
                await _say(store, clock, row, way, wish)
    except NoSuchSaga:
        raise NoWayBack(f"the saga of message {row.id} is not in this store. {_discard(row)}") from None
    if not wish.rehearsed:
        await note(store, row.id, "redriven", wish)


async def note(store: Store, number: int, verb: ParkedVerb, wish: Redriving) -> None:
    """Add an action to a parked message, asking again where the answer was lost. Raises NoWayBack, Unavailable."""
    for tries_left in reversed(range(NOTE_TRIES)):
        try:
            if not await store.note_parked(number, ParkedAction(verb, wish.actor, wish.reason)):
                raise NoWayBack(f"there is no parked message {number} any more")
        except CommitUnknown:
            if not tries_left:
                raise
        else:
            return


async def _check_command(store: Store, clock: Clock, row: ParkedRow) -> None:
    """Only what the engine itself would still send may be sent: where a key is forgotten, a copy under it that comes
    late is taken for something new."""
    command = command_from_wire(_as_delivered(row.message, sender=None))

    def decided(live: Live, now: datetime) -> Decision:
        step, current = _step(live.plan, command.path), live.state.steps.get(command.path)
        execution = None if current is None else (current.action if command.kind is Kind.ACTION else current.undo)
        if step is None or current is None or execution is None or not _is_open(live.state, execution, command):
            raise NoWayBack(f"message {row.id}: its saga does not wait for this command any more. {_discard(row)}")
        if forgotten(step, current, execution, now):
            raise NoWayBack(
                f"message {row.id}: its key may be forgotten by now, and it would be done as something new. "
                f"Fix: saga show {command.saga}"
            )
        return _nothing(live)

    await commit_decision(store, clock, command.saga, decided, cause="")


def _step(plan: Plan, path: str) -> Step | None:
    """None for a path that another definition wrote."""
    return plan.step(path) if template(path) in plan.steps else None


def _is_open(state: SagaState, execution: Execution, command: CommandMessage) -> bool:
    return not state.terminal and execution.number == command.execution and execution.outcome is None


async def _publish(bus: Bus, row: ParkedRow, message: Outgoing) -> None:
    [sent] = await bus.publish([message])
    match sent.outcome:
        case "confirmed":
            return
        case "returned":
            raise NoWayBack(f"message {row.id}: no queue takes it ({sent.detail}). Fix: saga topology apply")
        case "refused":
            raise NoWayBack(f"message {row.id}: the broker refuses it: {sent.detail}")
        case "unknown":
            raise Unavailable(
                f"message {row.id} may have been sent: {sent.detail}. Fix: redrive it again; twice is safe"
            )


async def _reply(store: Store, clock: Clock, row: ParkedRow, reply: ReplyMessage, wish: Redriving) -> None:
    def decided(live: Live, now: datetime) -> Decision:
        if (rejected := screen(live.plan, live.state, reply, engine=wish.trust.orchestrators)) is not None:
            raise _in_vain(row, rejected.code, rejected.detail)
        return _nothing(live) if wish.rehearsed else decide(live.plan, live.state, Reply(now=now, message=reply))

    what = f"reply {reply.service}.{reply.outcome} to {reply.path} {reply.in_reply_to}"
    await commit_decision(store, clock, reply.saga, decided, cause=f"{BY_OPERATOR}redrive by {wish.actor}: {what}")


async def _say(store: Store, clock: Clock, row: ParkedRow, message: ToSaga, wish: Redriving) -> None:
    saga = message.saga
    if saga is None:
        key = (message.name or "", f"{BY_KEY}{message.business_key}")
        known = (await store.find([key])).get(key)
        saga = "" if known is None else known.saga

    def decided(live: Live, now: datetime) -> Decision:
        try:
            given = said.input_of(message, live.state, wish.trust, now)
        except ProtocolViolation as violation:
            raise _in_vain(row, violation.code, violation.detail) from None
        refusal = said.objection(live.plan, live.state, given)
        if refusal is not None:
            raise _in_vain(row, refusal.code, refusal.text)
        return _nothing(live) if wish.rehearsed else decide(live.plan, live.state, given)

    cause = f"{BY_OPERATOR}redrive by {wish.actor}: {said.described(message)}"
    await commit_decision(store, clock, saga, decided, cause=cause)


def _nothing(live: Live) -> Decision:
    """Nothing is committed for it."""
    return Decision((), live.state)


def _in_vain(row: ParkedRow, code: str, text: str) -> NoWayBack:
    return NoWayBack(f"message {row.id} would only be parked again: {code}: {text}. {_discard(row)}")


def _discard(row: ParkedRow) -> str:
    return f"Fix: saga parked discard {row.id} --reason …"


def _outgoing(message: ParkedMessage) -> Outgoing:
    """As it was published, without what the broker and whoever parked it added, and without its sender."""
    return Outgoing(
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        message_id=message.message_id,
        type=message.type,
        headers={name: value for name, value in message.headers.items() if not name.startswith("x-")},
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
    )


def _as_delivered(message: ParkedMessage, *, sender: str | None) -> Delivery:
    """As it came in."""
    return Delivery(
        queue=message.origin,
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        message_id=message.message_id,
        type=message.type,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        headers=message.headers,
        sender=sender,
        redelivered=True,
        token=0,
    )
