"""Several commands in one transaction: nothing but the time is different, whatever one of them does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from saga.contract import Context
from saga.core.messages import CommandMessage
from saga.participant import Serving
from saga.participant.serve import answer_group, grouped
from saga.ports import Database, Delivery, Transaction
from saga.wire import command_to_wire
from tests.conformance.inbox.bank import Declined, Pay, Transfer, Unpay
from tests.conformance.inbox.cases import Bank, LostAnswer, again, asked, said, undoing

APPLIED = ("ok", "", "applied")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Counted:
    """A database that knows how many transactions it was asked for."""

    def __init__(self, inner: Database) -> None:
        self.dialect: Any = inner.dialect
        self.begun_count = 0
        self._inner = inner

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """One more."""
        self.begun_count += 1
        async with self._inner.begin() as tx:
            yield tx


def delivered(*commands: CommandMessage) -> list[Delivery]:
    """As they come from one queue."""
    return [
        Delivery(
            queue="saga.commands.bank",
            exchange=message.exchange,
            routing_key=message.routing_key,
            body=message.body,
            message_id=message.message_id,
            type=message.type,
            correlation_id=message.correlation_id,
            reply_to="",
            headers=message.headers,
            sender="orchestrator",
            redelivered=False,
            token=token,
        )
        for token, message in enumerate(map(command_to_wire, commands), 1)
    ]


async def answers(serving: Serving, *commands: CommandMessage) -> list[tuple[str, str, str]]:
    """Outcome, code and effect of each, in the order of the commands."""
    answered = sorted(await answer_group(serving, delivered(*commands)), key=lambda one: one.delivery.token)
    headers = [message.headers for one in answered for message in one.messages]
    return [(h["saga-outcome"], h.get("saga-code", ""), h["saga-effect"]) for h in headers]


def sharing(bank: Bank, database: Database | None = None) -> Serving:
    """A process that lets commands share a transaction."""
    return bank.process(database or bank.databases[0], "sharing", commands_per_transaction=8)


def several(count: int = 3) -> list[CommandMessage]:
    """Actions with keys of their own."""
    return [asked(Pay(amount=number), f"n{number}") for number in range(count)]


async def test_all_happen_once_in_one_transaction(bank: Bank) -> None:
    """Each has its effect and is remembered; there was one transaction."""
    counted = Counted(bank.databases[0])
    commands = several()
    assert await answers(sharing(bank, counted), *commands) == [APPLIED] * 3
    assert counted.begun_count == 1
    assert [await bank.effects(one) for one in commands] == [1] * 3
    assert [await bank.status(one) for one in commands] == ["ok"] * 3


async def test_who_is_redelivered_hears_the_stored_answer(bank: Bank) -> None:
    """Among new ones, a known key is replayed and does not run again."""
    known, *fresh = several()
    assert said(await bank.ask(known)) == APPLIED
    assert await answers(sharing(bank), again(known), *fresh) == [("ok", "", "replayed"), APPLIED, APPLIED]
    assert await bank.effects(known) == 1


async def test_one_that_fails_takes_nobody_with_it(bank: Bank) -> None:
    """Its exception rolls everything back; the others then happen, once."""
    bad, *good = several()

    async def fail(ctx: Context) -> None:
        if ctx.key == bad.key:
            raise RuntimeError("boom")

    bank.world.after = fail
    assert await answers(sharing(bank), *good, bad) == [APPLIED, APPLIED, ("retry", "handler-error", "none")]
    assert [await bank.effects(one) for one in (*good, bad)] == [1, 1, 0]
    assert await bank.status(bad) is None


async def test_a_broken_transaction_takes_nobody_with_it(bank: Bank) -> None:
    """A statement that the database refuses spoils the shared transaction, not the others' effects."""
    bad, *good = several()

    async def spoil(ctx: Context) -> None:
        if ctx.key == bad.key:
            await _execute(ctx.tx, "insert into no_such_table values (1)")

    bank.world.before = spoil
    assert await answers(sharing(bank), bad, *good) == [("retry", "handler-error", "none"), APPLIED, APPLIED]
    assert [await bank.effects(one) for one in (bad, *good)] == [0, 1, 1]


async def test_a_business_refusal_is_remembered_with_the_rest(bank: Bank) -> None:
    """`failed` is an answer like any other: no reason to go apart."""
    counted = Counted(bank.databases[0])
    bank.world.reply = Declined(reason="no cover")
    commands = several()
    assert await answers(sharing(bank, counted), *commands) == [("failed", "Declined", "none")] * 3
    assert counted.begun_count == 1
    assert [await bank.status(one) for one in commands] == ["failed"] * 3


async def test_the_same_key_twice_happens_once(bank: Bank) -> None:
    """Two deliveries of one command in one group: the second hears what the first did."""
    command, other = several(2)
    told = await answers(sharing(bank), command, again(command), other)
    assert told == [APPLIED, ("ok", "", "replayed"), APPLIED]
    assert await bank.effects(command) == 1


async def test_a_lost_commit_answer_is_found_out_at_once(bank: Bank) -> None:
    """The commit took place and nobody heard: asked alone, each finds its stored answer, or says `retry`."""
    commands = several()
    forgetful = sharing(bank, LostAnswer(bank.databases[0], ConnectionError))
    assert {outcome for outcome, _, _ in await answers(forgetful, *commands)} <= {"ok", "retry"}
    assert [await bank.effects(one) for one in commands] == [1] * 3


async def test_what_may_not_run_is_told_so_and_the_rest_runs(bank: Bank) -> None:
    """Expired, unreadable for the contract, tombstoned: each gets its own refusal."""
    late, wrong, dead, good = (
        asked(Pay(amount=1), "late", expires_at=LONG_AGO),
        asked(Pay(amount=-1), "wrong"),
        asked(Pay(amount=1), "dead"),
        asked(Pay(amount=1), "good"),
    )
    assert said(await bank.ask(undoing(dead, Unpay(), "unknown"))) == ("ok", "", "none")
    assert await answers(sharing(bank), late, wrong, dead, good) == [
        ("refused", "expired", "none"),
        ("refused", "invalid-payload", "none"),
        ("refused", "cancelled", "none"),
        APPLIED,
    ]
    assert not bank.world.runs[1:]


async def test_compensations_go_alone(bank: Bank) -> None:
    """An undo looks at two keys: it has a transaction of its own, in the same group."""
    action, other = several(2)
    assert said(await bank.ask(action)) == APPLIED
    assert await answers(sharing(bank), undoing(action, Unpay(), "ok"), other) == [APPLIED, APPLIED]


@pytest.mark.parametrize("size", [1, 2, 8])
def test_only_small_transactions_are_shared(bank: Bank, size: int) -> None:
    """Groups hold what is declared `inbox`, up to the size; everything else is by itself."""
    serving = bank.process(bank.databases[0], "grouping", commands_per_transaction=size)
    deliveries = delivered(*several(), asked(Transfer(amount=1), "outside"))
    tokens = [[delivery.token for delivery in group] for group in grouped(serving, deliveries)]
    assert tokens == {1: [[1], [2], [3], [4]], 2: [[1, 2], [3], [4]], 8: [[1, 2, 3], [4]]}[size]


async def _execute(tx: Any, sql: str) -> None:
    found = tx.execute(sql)
    if hasattr(found, "__await__"):
        await found
