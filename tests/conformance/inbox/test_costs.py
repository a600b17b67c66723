"""What a handler says that its work cost: told with the answer, stored with it, and told again with it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from saga.contract import Command, Context, RetryLater
from saga.cost import Cost, read
from saga.participant.rules import payload_hash
from saga.participant.serve import answer_group
from tests.conformance.inbox.bank import Book, Declined, Pay, Quote
from tests.conformance.inbox.cases import (
    Bank,
    LostAnswer,
    again,
    asked,
    every_action,
    every_undo,
    said,
    undoing,
)
from tests.conformance.inbox.test_together import delivered, sharing

TOLD: Cost = {"USD": Decimal("0.0123"), "tokens": Decimal(1520)}


async def spend(ctx: Context) -> None:
    """A handler tells its cost in three calls."""
    ctx.add_cost(1500, "tokens")
    ctx.add_cost(Decimal("0.0123"), "USD")
    ctx.add_cost(20, "tokens")


async def spend_in_vain(ctx: Context) -> None:
    """It was paid for, and of no use."""
    await spend(ctx)
    raise RetryLater("the model answered nonsense", code="bad-output")


@every_action
async def test_a_cost_is_told_again_with_its_answer(bank: Bank, body: Command[Any, Any]) -> None:
    """Whoever answers from memory, and whatever the handler would say by now."""
    action = asked(body)
    bank.world.before = spend
    assert (await bank.ask(action)).cost == TOLD
    bank.world.before = None
    for process in (0, 1):
        repeat = await bank.ask(again(action), process)
        assert (said(repeat), repeat.cost) == (("ok", "", "replayed"), TOLD)


@every_action
async def test_a_refusal_costs_as_well(bank: Bank, body: Command[Any, Any]) -> None:
    """Now and from memory."""
    action = asked(body)
    bank.world.before, bank.world.reply = spend, Declined(reason="no")
    for wanted in ("none", "replayed"):
        reply = await bank.ask(action)
        assert (said(reply), reply.cost) == (("failed", "Declined", wanted), TOLD)


@every_undo
async def test_an_undo_costs_on_its_own(bank: Bank, undo: Command[Any, Any]) -> None:
    """What the action cost is in the action's answer."""
    action = asked(Pay(amount=1))
    assert (await bank.ask(action)).cost is None
    bank.world.before = spend
    compensation = undoing(action, undo, "ok")
    for wanted in ("applied", "replayed"):
        reply = await bank.ask(compensation)
        assert (said(reply), reply.cost) == (("ok", "", wanted), TOLD)


@pytest.mark.parametrize("body", [Pay(amount=1), Book(amount=1), Quote(amount=1)], ids=lambda body: type(body).__name__)
async def test_what_was_in_vain_costs_each_time(bank: Bank, body: Command[Any, Any]) -> None:
    """A handler that raises tells what it spent before; nothing of that is remembered for the next run."""
    action = asked(body)
    bank.world.before = spend_in_vain
    for message in (action, again(action)):
        reply = await bank.ask(message)
        assert (said(reply), reply.cost) == (("retry", "bad-output", "none"), TOLD)
    bank.world.before = None
    reply = await bank.ask(again(again(action)))
    assert (said(reply), reply.cost) == (("ok", "", "applied"), None)


async def test_a_probe_costs_too(bank: Bank) -> None:
    """What it denies is run then, and both are told; what it confirms is remembered with what asking cost."""
    bank.world.probe_tokens = 7
    denied, confirmed = asked(Book(amount=1), "denied"), asked(Book(amount=1), "confirmed")
    await bank.crash(denied, applied=False)
    await bank.crash(confirmed, applied=True)
    bank.world.before = spend
    assert (await bank.ask(again(denied))).cost == {"USD": Decimal("0.0123"), "tokens": Decimal(1527)}
    for _ in range(2):
        assert (await bank.ask(again(confirmed))).cost == {"tokens": Decimal(7)}


async def test_commands_that_share_a_transaction_tell_their_own(bank: Bank) -> None:
    """Each in its answer, and each in its row."""
    commands = [asked(Pay(amount=number), f"n{number}") for number in range(3)]

    async def by_key(ctx: Context) -> None:
        if ctx.key != commands[0].key:
            ctx.add_cost([one.key for one in commands].index(ctx.key), "tokens")

    bank.world.before = by_key
    wanted = [None, {"tokens": Decimal(1)}, {"tokens": Decimal(2)}]
    answered = sorted(await answer_group(sharing(bank), delivered(*commands)), key=lambda one: one.delivery.token)
    told = [message.headers.get("saga-cost") for one in answered for message in one.messages]
    assert [None if text is None else read(text) for text in told] == wanted
    assert [(await bank.ask(again(one))).cost for one in commands] == wanted


async def test_a_commit_that_nobody_heard_of_costs_once(bank: Bank) -> None:
    """The first answer claims nothing, nor a cost; the stored one tells it."""
    action = asked(Pay(amount=1))
    bank.world.before = spend
    lossy = bank.process(LostAnswer(bank.databases[0], ConnectionError), "lossy")
    bank.processes[0], kept = lossy, bank.processes[0]
    lost = await bank.ask(action)
    bank.processes[0] = kept
    assert (said(lost), lost.cost) == (("retry", "database-error", "none"), None)
    assert (await bank.ask(again(action))).cost == TOLD


async def test_an_answer_of_the_release_before_is_told_without_a_cost(bank: Bank) -> None:
    """During a deploy both releases write into one inbox; the older one knows no column for costs."""
    action, now_ms = asked(Pay(amount=1)), round(datetime.now(UTC).timestamp() * 1_000)
    await bank.sql(
        "insert into saga_inbox"
        " (key, status, command_type, command_hash, command, reply_type, reply, code, effect, recorded_at, forget_at)"
        " values ($1, 'ok', $2, $3, $4, 'bank.Done.v1', $5, '', 'applied', $6, $7)",
        action.key,
        action.type_name,
        payload_hash(action.body),
        action.body,
        b'{"receipt":"r"}',
        now_ms,
        now_ms + 1_000_000,
    )
    reply = await bank.ask(action)
    assert (said(reply), reply.cost) == (("ok", "", "replayed"), None)
