"""Payloads, replies and forgetting, on every database."""

from typing import Any

import msgspec

from saga.contract import Command
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import ReplyEffect
from saga.participant import purge
from tests.conformance.inbox.bank import (
    Done,
    Pay,
    Quote,
)
from tests.conformance.inbox.cases import (
    Bank,
    asked,
    every_action,
    said,
    undoing,
)


async def test_the_largest_reply_is_given(bank: Bank) -> None:
    """Exactly what a message may hold."""
    action = asked(Pay(amount=1))
    bank.world.reply = Done(receipt="x" * (BODY_BYTES_MAX - len(msgspec.json.encode(Done(receipt="")))))
    reply = await bank.ask(action)
    assert (said(reply), len(reply.body)) == (("ok", "", "applied"), BODY_BYTES_MAX)
    assert await bank.effects(action) == 1


async def test_a_reply_that_is_too_large_rolls_the_effect_back(bank: Bank) -> None:
    """Its size is checked before the commit, so nothing happened that cannot be told."""
    action = asked(Pay(amount=1))
    bank.world.reply = Done(receipt="x" * (BODY_BYTES_MAX - len(msgspec.json.encode(Done(receipt=""))) + 1))
    assert said(await bank.ask(action)) == ("refused", "too-large", "none")
    assert (await bank.effects(action), await bank.status(action)) == (0, None)


async def test_what_does_not_fit_the_contract_never_runs(bank: Bank) -> None:
    """A wrong type, an objection of `check`, and a command nobody handles each have their code."""
    wrong = msgspec.structs.replace(asked(Pay(amount=1)), body=b'{"amount": "many"}')
    assert said(await bank.ask(wrong)) == ("refused", "invalid-payload", "none")
    objected = await bank.ask(asked(Pay(amount=-1)))
    assert said(objected) == ("refused", "invalid-payload", "none")
    assert objected.message == "amount is below zero"
    unknown = msgspec.structs.replace(asked(Pay(amount=1)), command_version=2)
    assert said(await bank.ask(unknown)) == ("refused", "unknown-command", "none")
    assert not bank.world.runs


async def test_an_undeclared_answer_is_rolled_back(bank: Bank) -> None:
    """A handler cannot answer with what its contract does not declare."""
    action = asked(Pay(amount=1))
    bank.world.reply = Quote(amount=1)  # type: ignore[assignment]  # the mistake under test
    reply = await bank.ask(action)
    assert said(reply) == ("retry", "handler-error", "none")
    assert "declared are: Done, Declined" in reply.message
    assert await bank.effects(action) == 0


async def test_a_read_needs_no_row(bank: Bank) -> None:
    """It runs each time, leaves nothing behind, and cannot undo anything."""
    quote = asked(Quote(amount=1))
    for _ in range(2):
        assert said(await bank.ask(quote)) == ("ok", "", "applied")
    assert await bank.status(quote) is None
    undo = undoing(quote, Quote(amount=1), "ok")
    assert said(await bank.ask(undo)) == ("refused", "invalid-payload", "none")


@every_action
async def test_rows_are_forgotten_when_the_contract_says(bank: Bank, body: Command[Any, Any]) -> None:
    """Not before, and never more than a step's worth at once."""
    actions = [asked(body, str(number)) for number in range(3)]
    for action in actions:
        await bank.ask(action)
    assert await purge(bank.processes[0]) == 0
    await bank.sql("update saga_inbox set forget_at = 1")
    assert [await purge(bank.processes[0], 2) for _ in range(3)] == [2, 1, 0]
    rows = await bank.sql("select 1 from saga_inbox")
    assert not rows


async def test_a_row_lives_for_thirty_days(bank: Bank) -> None:
    """The default of the contract, counted by the database's clock."""
    await bank.ask(asked(Pay(amount=1)))
    [(recorded_at, forget_at)] = await bank.sql("select recorded_at, forget_at from saga_inbox")
    assert msgspec.convert(forget_at, int) - msgspec.convert(recorded_at, int) == 30 * 24 * 3600 * 1000


def test_the_effects_of_replies_are_the_wire_words() -> None:
    """The words compared above are those of the contract."""
    assert {effect.value for effect in ReplyEffect} == {"applied", "replayed", "none"}
