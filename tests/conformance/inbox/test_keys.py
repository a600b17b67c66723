"""The same key again: replayed, refused, or busy, on every database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from saga.contract import Command, Context
from saga.core.errors import Unavailable
from tests.conformance.inbox.bank import (
    Declined,
)
from tests.conformance.inbox.cases import (
    Bank,
    again,
    asked,
    every_action,
    said,
)


@every_action
async def test_a_repeat_replays_the_stored_reply(bank: Bank, body: Command[Any, Any]) -> None:
    """The effect happens once; every later delivery gets the same answer, from any process."""
    action = asked(body)
    first = await bank.ask(action)
    assert said(first) == ("ok", "", "applied")
    for process in (0, 1):
        repeat = await bank.ask(again(action), process)
        assert said(repeat) == ("ok", "", "replayed")
        assert (repeat.body, repeat.type) == (first.body, first.type)
    assert len(bank.world.runs) == 1
    assert await bank.effects(action) == 1


@every_action
async def test_a_business_refusal_is_remembered(bank: Bank, body: Command[Any, Any]) -> None:
    """A declared failure is an answer for ever, although the next run would succeed."""
    action = asked(body)
    bank.world.reply = Declined(reason="no")
    assert said(await bank.ask(action)) == ("failed", "Declined", "none")
    bank.world.reply = None
    repeat = await bank.ask(again(action))
    assert said(repeat) == ("failed", "Declined", "replayed")
    assert repeat.type == "bank.Declined.v1"
    assert await bank.effects(action) == 0


@every_action
async def test_two_at_once_run_once(bank: Bank, body: Command[Any, Any]) -> None:
    """The same key in two processes: one runs, the other is told to come again and waits for nobody."""
    action, hold, running = asked(body), asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        running.set()
        await hold.wait()

    bank.world.after = wait
    first = asyncio.create_task(bank.ask(action, 0))
    await running.wait()
    try:
        second = await asyncio.wait_for(bank.ask(again(action), 1), 2)
        assert said(second) == ("retry", "busy", "none")
    except Unavailable:  # a file that another process writes to: the delivery goes back
        assert bank.databases[1].dialect == "sqlite"
    hold.set()
    assert said(await first) == ("ok", "", "applied")
    assert said(await bank.ask(again(action), 1)) == ("ok", "", "replayed")
    assert len(bank.world.runs) == 1


@every_action
async def test_the_same_process_does_not_race_itself(bank: Bank, body: Command[Any, Any]) -> None:
    """A redelivery while the handler runs in this very process is busy at once."""
    action, running = asked(body), asyncio.Event()
    hold = asyncio.Event()

    async def wait(_ctx: Context) -> None:
        running.set()
        await hold.wait()

    bank.world.before = wait
    first = asyncio.create_task(bank.ask(action))
    await running.wait()
    assert said(await bank.ask(action)) == ("retry", "busy", "none")
    hold.set()
    assert said(await first) == ("ok", "", "applied")


@every_action
async def test_other_bytes_under_the_same_key_are_refused(bank: Bank, body: Command[Any, Any]) -> None:
    """Never the old answer, never a second effect."""
    action = asked(body)
    await bank.ask(action)
    other = msgspec.structs.replace(again(action), body=action.body + b" ")
    assert said(await bank.ask(other)) == ("refused", "key-reused", "none")
    assert await bank.effects(action) == 1


@every_action
async def test_the_key_is_looked_up_before_the_expiry(bank: Bank, body: Command[Any, Any]) -> None:
    """An expired repeat of what happened is answered with what happened; an expired newcomer is refused."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    known, unknown = asked(body, "known"), asked(body, "unknown", expires_at=past)
    await bank.ask(known)
    assert said(await bank.ask(msgspec.structs.replace(again(known), expires_at=past))) == ("ok", "", "replayed")
    assert said(await bank.ask(unknown)) == ("refused", "expired", "none")
    assert await bank.effects(unknown) == 0
