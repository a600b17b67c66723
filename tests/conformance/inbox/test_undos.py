"""Compensations: tombstones, stored replies and what is forgotten, on every database."""

import asyncio
from typing import Any

import msgspec
import pytest

from saga.contract import Command, Context, InDoubt, RetryLater
from saga.core.errors import Unavailable
from tests.conformance.inbox.bank import (
    Book,
    Declined,
    Done,
    Mail,
    Pay,
    Transfer,
    Unpay,
)
from tests.conformance.inbox.cases import (
    Bank,
    again,
    asked,
    every_action,
    every_leased,
    every_undo,
    raising,
    said,
    undoing,
)


@every_action
@every_undo
async def test_a_compensation_first_cancels_the_action(
    bank: Bank, body: Command[Any, Any], undo: Command[Any, Any]
) -> None:
    """No row and an unknown outcome: a tombstone, and the late action never runs."""
    action = asked(body)
    compensation = undoing(action, undo, "unknown")
    reply = await bank.ask(compensation)
    assert said(reply) == ("ok", "", "none")
    assert said(await bank.ask(action, 1)) == ("refused", "cancelled", "none")
    assert said(await bank.ask(again(compensation))) == ("ok", "", "none")
    assert not bank.world.runs


@every_action
@every_undo
async def test_an_undo_gets_what_is_stored_of_its_action(
    bank: Bank, body: Command[Any, Any], undo: Command[Any, Any]
) -> None:
    """The stored command and reply are handed over, and the undo happens once."""
    action = asked(body)
    done = await bank.ask(action)
    compensation = undoing(action, undo, "ok")
    assert said(await bank.ask(compensation, 1)) == ("ok", "", "applied")
    undone = bank.world.runs[-1].undone
    assert undone is not None
    assert undone.command_as(type(body)) == body
    assert undone.reply_as(Done) == msgspec.json.decode(done.body, type=Done)
    assert undone.key == action.key
    assert said(await bank.ask(again(compensation))) == ("ok", "", "replayed")
    assert await bank.effects(compensation) == 1
    assert said(await bank.ask(again(action))) == ("ok", "", "replayed")


@every_action
async def test_there_is_nothing_to_undo_of_a_refusal(bank: Bank, body: Command[Any, Any]) -> None:
    """A declared failure had no effect, whatever the engine knows."""
    action = asked(body)
    bank.world.reply = Declined(reason="no")
    await bank.ask(action)
    for number, outcome in enumerate(("unknown", "ok")):
        assert said(await bank.ask(undoing(action, Unpay(), outcome, f"undo{number}"))) == ("ok", "", "none")
    assert len(bank.world.runs) == 1


@every_undo
async def test_a_forgotten_action_is_undone_from_the_payload(bank: Bank, undo: Command[Any, Any]) -> None:
    """The engine knows that it happened and the inbox does not: never answered with `none`."""
    action = asked(Pay(amount=1))
    assert said(await bank.ask(undoing(action, undo, "ok"))) == ("ok", "", "applied")
    undone = bank.world.runs[-1].undone
    assert undone is not None
    assert (undone.command, undone.reply, undone.key) == (None, None, action.key)
    assert await bank.status(action) is None


@every_undo
async def test_a_forgotten_action_may_be_beyond_the_handler(bank: Bank, undo: Command[Any, Any]) -> None:
    """An undo that needs what is forgotten says so, and a person looks."""
    bank.world.before = raising(InDoubt("which charge?"))
    assert said(await bank.ask(undoing(asked(Pay(amount=1)), undo, "ok"))) == ("refused", "in-doubt", "none")


@every_undo
@pytest.mark.parametrize("applied", [True, False])
async def test_the_undo_of_an_interrupted_action_asks_its_probe(
    bank: Bank, undo: Command[Any, Any], applied: bool
) -> None:
    """Applied: it is settled, then undone with its reply. Not applied: it is cancelled for ever."""
    action = asked(Book(amount=1))
    await bank.crash(action, applied=applied)
    expected = ("ok", "", "applied") if applied else ("ok", "", "none")
    assert said(await bank.ask(undoing(action, undo, "unknown"), 1)) == expected
    late = await bank.ask(again(action))
    assert said(late) == (("ok", "", "replayed") if applied else ("refused", "cancelled", "none"))
    undone = bank.world.runs[-1].undone
    assert (undone is not None) == applied
    assert undone is None or undone.reply_as(Done) == Done(receipt=f"r-{action.key[:4]}")


@every_undo
async def test_the_undo_of_an_interrupted_transfer_takes_the_command(bank: Bank, undo: Command[Any, Any]) -> None:
    """With a provider key nobody can ask: the undo gets the command without a reply, and the action is cancelled."""
    action = asked(Transfer(amount=1))
    await bank.crash(action, applied=True)
    assert said(await bank.ask(undoing(action, undo, "unknown"), 1)) == ("ok", "", "applied")
    undone = bank.world.runs[-1].undone
    assert undone is not None
    assert undone.command_as(Transfer) == Transfer(amount=1)
    assert undone.reply is None
    assert said(await bank.ask(again(action))) == ("refused", "cancelled", "none")


@every_undo
async def test_an_interrupted_undo_of_a_transfer_keeps_the_action_in_doubt(bank: Bank, undo: Command[Any, Any]) -> None:
    """An undo that did not end has not cancelled anything: it is asked for again, and undoes."""
    action = asked(Transfer(amount=1))
    await bank.crash(action, applied=True)
    bank.world.before = raising(RetryLater("not now"))
    assert said(await bank.ask(undoing(action, undo, "unknown"))) == ("retry", "unavailable", "none")
    bank.world.before = None
    assert said(await bank.ask(again(undoing(action, undo, "unknown")), 1)) == ("ok", "", "applied")
    assert await bank.status(action) == "cancelled"


@every_undo
async def test_the_undo_of_an_interrupted_mail_is_in_doubt(bank: Bank, undo: Command[Any, Any]) -> None:
    """Nothing can tell whether there is something to undo, until a person says that there is."""
    action = asked(Mail(amount=1))
    await bank.crash(action, applied=True)
    assert said(await bank.ask(undoing(action, undo, "unknown"), 1)) == ("refused", "in-doubt", "none")
    assert said(await bank.ask(undoing(action, undo, "ok", "second"), 1)) == ("ok", "", "applied")
    assert said(await bank.ask(again(action))) == ("refused", "cancelled", "none")


@every_action
async def test_a_running_handler_hears_of_its_compensation(bank: Bank, body: Command[Any, Any]) -> None:
    """The compensation is the cancel message: busy for the engine, a flag for the handler."""
    action, running, hold = asked(body), asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        running.set()
        await hold.wait()

    bank.world.before = wait
    first = asyncio.create_task(bank.ask(action))
    await running.wait()
    assert [ctx.cancelled for ctx in bank.world.runs] == [False]
    assert said(await bank.ask(undoing(action, Unpay(), "unknown"))) == ("retry", "busy", "none")
    assert [ctx.cancelled for ctx in bank.world.runs] == [True]
    bank.world.before = None
    hold.set()
    assert said(await first) == ("ok", "", "applied")
    assert said(await bank.ask(again(undoing(action, Unpay(), "unknown")))) == ("ok", "", "applied")


@every_leased
async def test_an_effect_after_a_lost_lease_is_told(bank: Bank, body: Command[Any, Any]) -> None:
    """A process that slept through its lease says what it did, even against a tombstone: an operator must hear it."""
    action = asked(body)

    async def meanwhile(_ctx: Context) -> None:
        await bank.sql("update saga_inbox set status = 'cancelled', owner = null where key = $1", action.key)

    bank.world.before = meanwhile
    assert said(await bank.ask(action)) == ("ok", "", "applied")
    assert await bank.status(action) == "cancelled"


@every_action
@every_undo
async def test_a_compensation_elsewhere_waits_for_the_running_action(
    bank: Bank, body: Command[Any, Any], undo: Command[Any, Any]
) -> None:
    """The action runs in another process: nothing is cancelled behind its back, and it is undone once it ended."""
    action, running, hold = asked(body), asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        running.set()
        await hold.wait()

    bank.world.before = wait
    first = asyncio.create_task(bank.ask(action, 0))
    await running.wait()
    bank.world.before = None
    compensation = undoing(action, undo, "unknown")
    try:
        async with asyncio.timeout(2):
            assert said(await bank.ask(compensation, 1)) == ("retry", "busy", "none")
    except Unavailable:  # a file that another process writes to: the delivery goes back
        assert bank.databases[1].dialect == "sqlite"
    hold.set()
    assert said(await first) == ("ok", "", "applied")
    assert said(await bank.ask(again(compensation), 1)) == ("ok", "", "applied")
