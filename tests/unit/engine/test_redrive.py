"""Putting a parked message back: never lost, never believed for somebody else, never silently repeated."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from saga import wire
from saga.core.blocks import Each
from saga.core.bounds import ACTION_EXPIRES_AFTER
from saga.core.expression import Literal
from saga.core.messages import CommandMessage
from saga.engine.redrive import NoWayBack, Redriving, redrive, way_back
from saga.ports import (
    Batch,
    Bus,
    CommitUnknown,
    Outgoing,
    ParkedAction,
    ParkedFilter,
    ParkedRow,
    SagaFilter,
    Sent,
    Unavailable,
)
from tests.builders import plan, raw, step, template
from tests.conformance.store.places import changed
from tests.unit.engine.rig import CALLER, TWO_STEPS, Rig, start_message

WISH = Redriving("ann", "mended")
REHEARSED = changed(WISH, rehearsed=True)


class Reached:
    """A broker that is only asked for when it is needed, and does as told."""

    def __init__(self, bus: Bus, *sent: Sent) -> None:
        self.asked = 0
        self._bus = bus
        self._sent = deque(sent)

    async def __call__(self) -> Any:
        """As a command opens its bus."""
        self.asked += 1
        return self

    async def publish(self, messages: list[Outgoing]) -> list[Sent]:
        """As told, else for real."""
        return [self._sent.popleft()] if self._sent else await self._bus.publish(messages)


def reached(rig: Rig, *sent: Sent) -> Reached:
    """In memory a sender always has a name; over RabbitMQ the command publishes without one."""
    return Reached(rig.broker.bus(CALLER), *sent)


async def the_parked(rig: Rig) -> ParkedRow:
    """The only unsettled row."""
    [row] = await rig.store.parked(ParkedFilter(settled=False))
    return row


def verbs(row: ParkedRow) -> list[str]:
    return [action.verb for action in row.actions]


async def parked_start(rig: Rig) -> ParkedRow:
    """A start that came before its definition was published."""
    process = await rig.process()
    start = start_message(name="later", start_key="k:one")
    await process.hop(*await rig.arrive("saga.start", wire.start_to_wire(start), sender=CALLER))
    return await the_parked(rig)


async def parked_reply(rig: Rig) -> ParkedRow:
    """The answer to the first command, parked by a store that had lost its saga for a moment."""
    process = await rig.process()
    await process.hop(await rig.start())
    delivery = await rig.reply(await rig.command())
    work = wire.parked_from_delivery(delivery, "unknown-saga", "no such saga")
    await rig.store.commit(Batch(parked=[work]))
    return await the_parked(rig)


async def parked_cancel(rig: Rig) -> ParkedRow:
    """A cancel that came before its saga."""
    process = await rig.process()
    await process.hop(await rig.start())
    delivery = await rig.cancel(None, name="order", business_key="o1")
    await rig.store.commit(Batch(parked=[wire.parked_from_delivery(delivery, "unknown-saga", "too early")]))
    return await the_parked(rig)


async def test_a_start_goes_back_as_it_came(rig: Rig) -> None:
    """Same bytes, headers, ids and address for the answer."""
    row = await parked_start(rig)
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    [delivery] = await rig.take("saga.start", 1)
    assert wire.start_from_wire(delivery) == start_message(name="later", start_key="k:one", sender=CALLER)
    [settled] = await rig.store.parked()
    assert (settled.settled, verbs(settled)) == ("redriven", ["redriving", "redriven"])
    assert [(action.actor, action.reason) for action in settled.actions] == [("ann", "mended")] * 2


async def test_in_vain_it_is_parked_anew(rig: Rig) -> None:
    """What is parked again for the same reason is a row of its own, to be seen."""
    row = await parked_start(rig)
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    process = await rig.process()
    await process.hop(*await rig.take("saga.start", 1))
    again = await the_parked(rig)
    assert again.id > row.id
    assert again.message.body == row.message.body


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (Sent("returned", "NO_ROUTE"), NoWayBack),
        (Sent("refused", "ACCESS_REFUSED"), NoWayBack),
        (Sent("unknown", "no confirm in time"), Unavailable),
    ],
)
async def test_without_a_confirm_it_stays_parked(rig: Rig, sent: Sent, error: type[Exception]) -> None:
    """It was tried, which is noted, and it may be tried again."""
    row = await parked_start(rig)
    with pytest.raises(error, match=sent.detail):
        await redrive(rig.store, reached(rig, sent), rig.clock, row, WISH)
    row = await the_parked(rig)
    assert verbs(row) == ["redriving"]
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    assert verbs((await rig.store.parked())[0]) == ["redriving", "redriving", "redriven"]


async def test_killed_before_the_mark_it_is_sent_twice_and_done_once(rig: Rig) -> None:
    """Between the confirm and the mark a process may die: the message is still there to be redriven."""
    row = await parked_start(rig)
    bus = reached(rig)
    sent = way_back(row)
    assert isinstance(sent, Outgoing)
    await bus.publish([sent])
    await redrive(rig.store, bus, rig.clock, await the_parked(rig), WISH)
    await rig.publish(changed(TWO_STEPS, hash="later", definition=changed(TWO_STEPS.definition, name="later")))
    process = await rig.process()
    for delivery in await rig.take("saga.start", 2):
        await process.hop(delivery)
    assert len(await rig.rows(name="later")) == 1


async def test_a_lost_answer_of_the_store_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note that may have been written is written again; an action twice is no harm."""
    row = await parked_start(rig)
    real, failures = rig.store.note_parked, deque([True, False, True])

    async def note(number: int, action: ParkedAction) -> bool:
        noted = await real(number, action)
        if failures and failures.popleft():
            raise CommitUnknown("no answer")
        return noted

    monkeypatch.setattr(rig.store, "note_parked", note)
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    assert verbs((await rig.store.parked())[0]) == ["redriving", "redriving", "redriven", "redriven"]


async def test_a_reply_is_believed_for_its_sender(rig: Rig) -> None:
    """It is decided on as what its service said, without a broker; the history names the operator."""
    row, bus = await parked_reply(rig), reached(rig)
    saga = row.message.correlation_id
    await redrive(rig.store, bus, rig.clock, row, WISH)
    assert bus.asked == 0
    last = (await rig.store.history(saga))[-1]
    assert last.cause.startswith("operator redrive by ann: reply reserve-service.ok to reserve")
    assert b"StepSucceeded" in last.data
    assert verbs((await rig.store.parked())[0]) == ["redriven"]
    await (await rig.process()).tick()
    assert (await rig.command("charge-service")).path == "charge"


async def test_a_reply_twice_is_one(rig: Rig) -> None:
    """The saga knows the answer already: nothing is recorded, the message is settled."""
    row = await parked_reply(rig)
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    version = (await rig.row()).version
    await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    assert (await rig.row()).version == version


@pytest.mark.parametrize("sender", ["charge-service", None])
async def test_a_forged_reply_stays_parked(rig: Rig, sender: str | None) -> None:
    """An operator vouches for having seen it, not for who wrote it."""
    row = await parked_reply(rig)
    forged = changed(row, message=changed(row.message, sender=sender))
    for wish in (REHEARSED, WISH):
        with pytest.raises(NoWayBack, match=r"forged-sender.*Fix: saga parked discard"):
            await redrive(rig.store, reached(rig), rig.clock, forged, wish)
    assert verbs(await the_parked(rig)) == []
    assert len(await rig.store.history(row.message.correlation_id)) == 1


async def test_a_cancel_is_the_wish_of_who_sent_it(rig: Rig) -> None:
    """By id or by key; the operator's name is in the cause, the caller's in the event."""
    await redrive(rig.store, reached(rig), rig.clock, await parked_cancel(rig), WISH)
    row = await rig.row()
    assert row.status == "compensating"
    last = (await rig.store.history(row.saga))[-1]
    assert last.cause == f"operator redrive by ann: cancel c-1 by {CALLER}"
    assert f'"by":"{CALLER}"'.encode() in last.data


async def test_what_has_no_way_back_says_so(rig: Rig) -> None:
    """A saga of another store; a message nobody sent to a place of ours; one that is unreadable for good."""
    reply = await parked_reply(rig)
    elsewhere = "01930000-0000-7000-8000-00000000ffff"
    for changes, said in (
        ({"correlation_id": elsewhere}, "not in this store"),
        ({"exchange": ""}, "does not say where to go back to"),
        ({"exchange": "saga.parking", "origin": "saga.parking"}, "does not say where to go back to"),
        ({"body": b"no json"}, "would only be parked again: not-json"),
        ({"exchange": "saga.start", "routing_key": ""}, "would only be parked again: missing-header"),
    ):
        row = changed(reply, message=changed(reply.message, **changes))
        for wish in (REHEARSED, WISH):
            with pytest.raises(NoWayBack, match=said):
                await redrive(rig.store, reached(rig), rig.clock, row, wish)
    assert verbs(await the_parked(rig)) == []


async def parked_command(rig: Rig, name: str = "order") -> tuple[ParkedRow, CommandMessage]:
    """The first command of a saga, dead-lettered."""
    process = await rig.process()
    await process.hop(await rig.start(name=name))
    [command] = await rig.take("saga.commands.reserve-service", 1)
    dead = {"x-first-death-queue": command.queue, "x-first-death-exchange": command.exchange}
    letter = changed(command, queue="saga.dead", exchange="saga.dead", headers={**command.headers, **dead})
    await rig.store.commit(Batch(parked=[wire.parked_from_wire(letter)]))
    return await the_parked(rig), wire.command_from_wire(command)


async def test_a_command_goes_back_while_its_saga_waits(rig: Rig) -> None:
    """As it was sent, under its key."""
    row, _ = await parked_command(rig)
    bus = Reached(rig.broker.bus("orchestrator"))
    await redrive(rig.store, bus, rig.clock, row, WISH)
    assert (await rig.command()).message_id == row.message.message_id


async def test_the_command_of_an_item_goes_back(rig: Rig) -> None:
    """Its place in the run is not what the definition calls its step."""
    add = step("seats/add", command=template("reserve-service", "Add"))
    seats = Each(path="seats", items=Literal(raw('["a"]')), limit=3, window=1, body=(add,))
    await rig.publish(plan(seats, name="seating"))
    row, command = await parked_command(rig, "seating")
    assert command.path == "seats[0]/add"
    await redrive(rig.store, Reached(rig.broker.bus("orchestrator")), rig.clock, row, WISH)
    assert (await rig.command()).message_id == row.message.message_id


async def test_an_answered_command_does_not_go_back(rig: Rig) -> None:
    """Its key may be purged any day after: the copy would take effect again."""
    row, command = await parked_command(rig)
    process = await rig.process()
    await process.hop(await rig.reply(command))
    for wish in (REHEARSED, WISH):
        with pytest.raises(NoWayBack, match="does not wait for this command any more"):
            await redrive(rig.store, reached(rig), rig.clock, row, wish)


async def test_a_command_whose_key_may_be_forgotten_does_not_go_back(rig: Rig) -> None:
    """The engine itself would not send it either."""
    row, _ = await parked_command(rig)
    sent_for = TWO_STEPS.steps["reserve"].command.remembers - ACTION_EXPIRES_AFTER
    rig.clock.seconds += sent_for.total_seconds() + 1
    with pytest.raises(NoWayBack, match="may be forgotten"):
        await redrive(rig.store, reached(rig), rig.clock, row, WISH)
    assert verbs(await the_parked(rig)) == []


async def command_alone(rig: Rig) -> ParkedRow:
    """See `parked_command`."""
    return (await parked_command(rig))[0]


@pytest.mark.parametrize("parked", [parked_start, parked_reply, parked_cancel, command_alone])
async def test_a_rehearsal_changes_nothing(rig: Rig, parked: Callable[[Rig], Awaitable[ParkedRow]]) -> None:
    """What would go back is neither sent nor decided on nor noted, and no broker is asked for."""
    row, bus = await parked(rig), reached(rig)
    before = await rig.store.sagas(SagaFilter())
    await redrive(rig.store, bus, rig.clock, row, REHEARSED)
    assert (await the_parked(rig), await rig.store.sagas(SagaFilter()), bus.asked) == (row, before, 0)


async def test_what_the_broker_added_is_left_behind(rig: Rig) -> None:
    """A dead letter goes back without the story of its death."""
    start = await parked_start(rig)
    headers = start.message.headers | {"x-first-death-queue": "saga.start"}
    way = way_back(changed(start, message=changed(start.message, headers=headers)))
    assert isinstance(way, Outgoing)
    assert way.headers == start.message.headers
