"""Crashes, lost answers and leases: what an interrupted run allows, on every database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from saga.contract import Command, Context, InDoubt, RetryLater
from saga.core.errors import Unavailable
from saga.core.messages import Outcome, ReplyEffect
from saga.participant import answer_command, inbox
from saga.participant.inbox import Claim, Settlement
from saga.participant.rules import RowStatus
from tests.conformance.inbox.bank import (
    Book,
    Mail,
    Pay,
    Transfer,
    forever,
)
from tests.conformance.inbox.cases import (
    Away,
    Bank,
    FailsOnce,
    LostAnswer,
    again,
    asked,
    every_leased,
    kind_of,
    raising,
    said,
)


async def test_an_exception_rolls_the_effect_back(bank: Bank) -> None:
    """With the row in the handler's own transaction, a crash before the commit leaves nothing at all."""
    action = asked(Pay(amount=1))

    async def fail(_ctx: Context) -> None:
        raise RuntimeError("boom")

    bank.world.after = fail
    failed = await bank.ask(action)
    assert said(failed) == ("retry", "handler-error", "none")
    assert "boom" in failed.message
    assert (await bank.effects(action), await bank.status(action)) == (0, None)
    bank.world.after = None
    assert said(await bank.ask(again(action))) == ("ok", "", "applied")


async def test_a_killed_process_leaves_nothing_half_done(bank: Bank) -> None:
    """Cancelled in the middle, the transaction is rolled back and the key is free at once."""
    action = asked(Pay(amount=1))
    await bank.crash(action, applied=True)
    assert (await bank.effects(action), await bank.status(action)) == (0, None)
    assert said(await bank.ask(again(action), 1)) == ("ok", "", "applied")


@pytest.mark.parametrize("error", [ConnectionError, Unavailable])
async def test_a_lost_commit_answer_is_found_out_by_the_repeat(bank: Bank, error: type[Exception]) -> None:
    """The commit took place and its answer was lost: nothing is claimed, and the repeat finds the stored reply."""
    action = asked(Pay(amount=1))
    forgetful = bank.process(LostAnswer(bank.databases[0], error), "forgetful")
    assert said(await answer_command(forgetful, action)) == ("retry", "database-error", "none")
    assert await bank.effects(action) == 1
    assert said(await bank.ask(again(action))) == ("ok", "", "replayed")


async def test_a_database_that_is_away_gives_the_delivery_back(bank: Bank) -> None:
    """Nothing was begun, so nothing is answered."""
    lost = bank.process(Away(bank.databases[0].dialect), "lost")
    with pytest.raises(Unavailable):
        await answer_command(lost, asked(Pay(amount=1)))
    assert not bank.world.runs


@pytest.mark.parametrize("raised", [RetryLater("not now", code="rate-limited"), RuntimeError("boom"), None])
async def test_at_most_once_is_tried_once(bank: Bank, raised: Exception | None) -> None:
    """Whatever became of the first try, the second delivery is in doubt."""
    action = asked(Mail(amount=1))
    if raised is None:
        await bank.crash(action, applied=False)
    else:
        bank.world.before = raising(raised)
        assert (await bank.ask(action)).outcome is Outcome.RETRY
        bank.world.before = None
    for process in (0, 1):
        assert said(await bank.ask(again(action), process)) == ("refused", "in-doubt", "none")
    assert await bank.effects(action) == 0


@pytest.mark.parametrize("applied", [True, False])
async def test_a_provider_key_is_simply_used_again(bank: Bank, applied: bool) -> None:
    """The provider applies a key once, so an interrupted run is run again under the same key."""
    action = asked(Transfer(amount=1))
    await bank.crash(action, applied=applied)
    assert said(await bank.ask(again(action), 1)) == ("ok", "", "applied")
    assert {ctx.key for ctx in bank.world.runs} == {action.key}
    assert len(bank.world.provider) == 1


async def test_a_probe_that_finds_the_effect_answers_for_it(bank: Bank) -> None:
    """The interrupted run did happen: its reply is stored and sent, and nothing runs again."""
    action = asked(Book(amount=1))
    await bank.crash(action, applied=True)
    assert (await bank.ask(again(action), 1)).outcome is Outcome.OK
    assert len(bank.world.runs) == 1
    assert said(await bank.ask(again(action))) == ("ok", "", "replayed")
    assert bank.world.probes == [action.key]


async def test_a_probe_that_denies_the_effect_lets_it_run(bank: Bank) -> None:
    """The interrupted run did not happen: it runs now, unless it has expired meanwhile."""
    action = asked(Book(amount=1))
    await bank.crash(action, applied=False)
    expired = msgspec.structs.replace(again(action), expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert said(await bank.ask(expired)) == ("refused", "expired", "none")
    assert said(await bank.ask(again(action), 1)) == ("ok", "", "applied")
    assert len(bank.world.runs) == 2


async def test_a_probe_that_cannot_tell_leaves_the_doubt(bank: Bank) -> None:
    """Nothing is settled, and the next delivery may ask again."""
    action = asked(Book(amount=1))
    await bank.crash(action, applied=True)
    bank.world.probe_blind = True
    assert said(await bank.ask(again(action))) == ("refused", "in-doubt", "none")
    bank.world.probe_blind = False
    assert (await bank.ask(again(action), 1)).outcome is Outcome.OK


@every_leased
async def test_a_live_lease_keeps_others_away(bank: Bank, body: Command[Any, Any]) -> None:
    """Until the lease of a dead process has run out, nobody can know that it is dead."""
    action = asked(body)
    await bank.crash(action, applied=True)
    await bank.sql("update saga_inbox set lease_until = $1", 10**14)
    assert said(await bank.ask(again(action), 1)) == ("retry", "busy", "none")


async def test_a_lease_is_renewed_while_the_handler_runs(bank: Bank) -> None:
    """A handler that outlives its first lease keeps its row."""
    action = asked(Mail(amount=1))
    patient = bank.process(bank.databases[0], "patient", lease=timedelta(seconds=1))

    async def long(_ctx: Context) -> None:
        await asyncio.sleep(1.6)
        assert said(await bank.ask(again(action), 1)) == ("retry", "busy", "none")

    bank.world.before = long
    assert said(await answer_command(patient, action)) == ("ok", "", "applied")


@pytest.mark.parametrize("error", [ConnectionError, asyncio.CancelledError])
async def test_a_renewal_that_fails_is_not_the_last(bank: Bank, error: type[BaseException]) -> None:
    """Not even when the database's library cancels what waits for it: the next renewal keeps the lease."""
    action = asked(Mail(amount=1))
    once = FailsOnce(bank.databases[0], error)
    shaky = bank.process(once, "shaky", lease=timedelta(seconds=1))

    async def two_renewals(_ctx: Context) -> None:
        once.fails = True
        async with asyncio.timeout(5):
            while once.begun_count < 3:
                await asyncio.sleep(0.01)

    bank.world.before = two_renewals
    assert said(await answer_command(shaky, action)) == ("ok", "", "applied")
    assert not once.fails


async def test_a_handler_in_doubt_settles_nothing(bank: Bank) -> None:
    """What the handler cannot tell, a person must."""
    action = asked(Pay(amount=1))
    bank.world.after = raising(InDoubt("no answer from the vault"))
    doubt = await bank.ask(action)
    assert said(doubt) == ("refused", "in-doubt", "none")
    assert doubt.message == "no answer from the vault"
    assert await bank.effects(action) == 0


async def test_a_handler_that_takes_too_long_is_cut(bank: Bank) -> None:
    """The limit ends the handler and rolls its effect back."""
    hasty = bank.process(bank.databases[0], "hasty", handler_timeout=timedelta(milliseconds=20))
    bank.world.after = forever
    action = asked(Pay(amount=1))
    assert said(await answer_command(hasty, action)) == ("retry", "handler-timeout", "none")
    assert await bank.effects(action) == 0


@every_leased
@pytest.mark.parametrize("settled", [True, False])
async def test_a_row_taken_over_is_not_written_over(bank: Bank, body: Command[Any, Any], settled: bool) -> None:
    """A process that slept through its lease leaves the row to whoever has it now: to end it, or to have ended it."""
    action = asked(body)

    async def meanwhile(_ctx: Context) -> None:
        end = ", status = 'ok', reply = $1, owner = null" if settled else ", reply = $1, owner = 'another'"
        await bank.sql(f"update saga_inbox set reply_type = 'bank.Done.v1'{end}", b'{"receipt":"theirs"}')

    bank.world.before = meanwhile
    reply = await bank.ask(action)
    assert said(reply) == (("ok", "", "replayed") if settled else ("retry", "busy", "none"))
    assert reply.body == (b'{"receipt":"theirs"}' if settled else b"")
    assert await bank.status(action) == ("ok" if settled else "in_progress")


@pytest.mark.parametrize("body", [Transfer(amount=1), Book(amount=1)], ids=kind_of)
async def test_a_namesake_is_another_owner(bank: Bank, body: Command[Any, Any]) -> None:
    """Containers share host names and process ids: a process that took a row over is not taken for the one before."""
    action = asked(body)
    holds = [asyncio.Event(), asyncio.Event()]
    running = [asyncio.Event(), asyncio.Event()]

    async def hold(ctx: Context) -> None:
        number = bank.world.runs.index(ctx)
        running[number].set()
        await holds[number].wait()

    bank.world.before = hold
    first = asyncio.create_task(bank.ask(action, 0))
    await running[0].wait()
    await bank.sql("update saga_inbox set lease_until = 1")
    namesake = asyncio.create_task(answer_command(bank.process(bank.databases[1], "process-0"), action))
    await running[1].wait()
    holds[0].set()
    assert said(await first) == ("retry", "busy", "none")
    assert await bank.status(action) == "in_progress"
    holds[1].set()
    assert said(await namesake) == ("ok", "", "applied")


async def test_every_write_to_a_row_is_conditional(bank: Bank) -> None:
    """Where the look at a row was too early, the write that follows finds out and changes nothing."""
    command, now = asked(Book(amount=1)), datetime.now(UTC)
    mine, theirs = (Claim(owner, now + timedelta(minutes=1)) for owner in ("mine", "theirs"))
    done = Settlement(status=RowStatus.OK, effect=ReplyEffect.APPLIED, now=now, remembers=timedelta(days=30))
    dialect = bank.databases[0].dialect
    async with bank.databases[0].begin() as tx:
        assert await inbox.claim(tx, command, theirs, now=now, remembers=done.remembers)
        seen = (await inbox.look(tx, dialect, command.key)).row
        assert seen is not None
        assert not await inbox.claim(tx, command, mine, now=now, remembers=done.remembers)
        assert not await inbox.record(tx, command, done)
        assert not await inbox.tombstone(tx, command.key, now=now, remembers=done.remembers)
        assert not await inbox.settle(tx, command.key, "mine", done)
        assert not await inbox.renew(tx, command.key, mine)
        assert await inbox.renew(tx, command.key, Claim("theirs", now + timedelta(minutes=2)))
        assert not await inbox.take_over(tx, seen, mine)
        assert await inbox.settle(tx, command.key, "theirs", done)
        assert not await inbox.settle(tx, command.key, "theirs", done)
        row = (await inbox.look(tx, dialect, command.key)).row
    assert row is not None
    assert (row.status, row.owner, row.lease_until) == (RowStatus.OK, None, None)
