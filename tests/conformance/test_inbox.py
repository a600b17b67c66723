"""What a participant must do with a command, on each database: the rules of the wire contract, one test a rule."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.adapters.postgres.database import PostgresDatabase
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.contract import Command, Context, InDoubt, RetryLater, contract_of
from saga.core.errors import Unavailable
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyEffect, ReplyMessage
from saga.participant import Participant, Serving, answer_command, purge
from saga.ports import Database, Transaction
from tests.conformance.bank import (
    Book,
    Declined,
    Done,
    Mail,
    Pay,
    Quote,
    Recall,
    TeamDatabase,
    Transfer,
    Unbook,
    Unpay,
    World,
    forever,
)
from tests.servers import PostgresServer

SAGA = "0197f3a0-0000-7000-8000-000000000001"
OWN_TABLES = "create table effects (idempotency_key text not null);\n"
LEASED = [Transfer(amount=1), Book(amount=1), Mail(amount=1)]
ACTIONS = [Pay(amount=1), *LEASED]
UNDOS = [Unpay(), Recall(), Unbook()]


class Bank:
    """The service in two processes over the same data."""

    def __init__(self, world: World, databases: tuple[Database, Database]) -> None:
        self.world = world
        self.databases = databases
        self._clock = SystemClock()
        self.processes = [self.process(database, f"process-{n}") for n, database in enumerate(databases)]

    def process(self, database: Database, name: str, **limits: Any) -> Serving:
        """One more process."""
        return Serving(Participant("bank", self.world.handlers(), **limits), database, self._clock, name)

    async def ask(self, message: CommandMessage, process: int = 0) -> ReplyMessage:
        """What one process answers."""
        return await answer_command(self.processes[process], message)

    async def crash(self, message: CommandMessage, *, applied: bool) -> None:
        """The process dies in the handler, before or after the effect, and its lease runs out."""
        hook = "after" if applied else "before"
        setattr(self.world, hook, forever)
        task = asyncio.create_task(self.ask(message))
        while not self.world.runs or self.world.runs[-1].key != message.key:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        setattr(self.world, hook, None)
        await self.sql("update saga_inbox set lease_until = 1 where status = 'in_progress'")

    async def effects(self, message: CommandMessage) -> int:
        """How often the effect is there."""
        rows = await self.sql("select 1 from effects where idempotency_key = $1", message.key)
        return len(rows) + (message.key in self.world.provider)

    async def status(self, message: CommandMessage) -> str | None:
        """What the inbox says of the key."""
        rows = await self.sql("select status from saga_inbox where key = $1", message.key)
        return str(rows[0][0]) if rows else None

    async def sql(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run a statement."""
        async with self.databases[1].begin() as tx:
            return await tx.execute(sql, *arguments)


@pytest.fixture(scope="module")
def shared_dsn(postgres: PostgresServer) -> Iterator[str]:
    """One Postgres database for all tests here: making one takes longer than a test."""
    name = f"inbox_{secrets.token_hex(4)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(params=["postgres", "sqlite", "own"])
async def bank(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bank]:
    """The bank on Postgres, on SQLite, and on a database library of the team's own."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_effects.sql").write_text(OWN_TABLES)
    path = tmp_path / "bank.db"
    if request.param == "own":
        team = TeamDatabase(path)
        team.create(OWN_TABLES)
        yield Bank(World(), (team, team))
        return
    opened: list[PostgresDatabase | SqliteDatabase]
    if request.param == "postgres":
        opened = [PostgresDatabase(request.getfixturevalue("shared_dsn")) for _ in range(2)]
    else:
        short = timedelta(milliseconds=50)
        opened = [SqliteDatabase(str(path), clock=SystemClock(), busy_timeout=short) for _ in range(2)]
    await opened[0].migrate("bank", folder)
    bank = Bank(World(), (opened[0], opened[1]))
    for table in ("saga_inbox", "effects"):
        await bank.sql(f"delete from {table}")
    yield bank
    for one in opened:
        await one.close()


def asked(body: Command[Any, Any], name: str = "a", attempt: int = 1, **fields: Any) -> CommandMessage:
    """A command as the engine would send it; `name` makes its key."""
    contract = contract_of(type(body))
    key = hashlib.md5(name.encode()).hexdigest()
    return CommandMessage(
        saga=SAGA,
        saga_name="order",
        saga_version=1,
        business_key="A-1",
        path="pay",
        kind=fields.pop("kind", Kind.ACTION),
        execution=1,
        attempt=attempt,
        service="bank",
        command=contract.name,
        command_version=1,
        message_id=hashlib.md5(f"{name}{attempt}".encode()).hexdigest(),
        key=key,
        body=msgspec.json.encode(body),
        **fields,
    )


def undoing(action: CommandMessage, body: Command[Any, Any], outcome: str, name: str = "undo") -> CommandMessage:
    """The compensation of an action."""
    return asked(body, name, kind=Kind.COMPENSATION, undoes=action.key, undoes_outcome=outcome)


def again(message: CommandMessage) -> CommandMessage:
    """The next attempt."""
    attempt = message.attempt + 1
    return msgspec.structs.replace(message, attempt=attempt, message_id=f"{message.message_id[:30]}{attempt:02}")


def said(reply: ReplyMessage) -> tuple[str, str, str]:
    """Outcome, code and effect."""
    return reply.outcome.value, reply.code, reply.effect.value


def kind_of(body: object) -> str:
    """Test ids by command."""
    return type(body).__name__


every_action = pytest.mark.parametrize("body", ACTIONS, ids=kind_of)
every_leased = pytest.mark.parametrize("body", LEASED, ids=kind_of)
every_undo = pytest.mark.parametrize("undo", UNDOS, ids=kind_of)

# -------------------------------------------------------------------------------------------------------- the same key


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


# ------------------------------------------------------------------------------------------------- crashes and doubts


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


async def test_a_lost_commit_answer_is_found_out_by_the_repeat(bank: Bank) -> None:
    """The commit took place and its answer was lost: nothing is claimed, and the repeat finds the stored reply."""
    action = asked(Pay(amount=1))
    forgetful = bank.process(LostAnswer(bank.databases[0]), "forgetful")
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
        bank.world.before = _raising(raised)
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


async def test_a_handler_in_doubt_settles_nothing(bank: Bank) -> None:
    """What the handler cannot tell, a person must."""
    action = asked(Pay(amount=1))
    bank.world.after = _raising(InDoubt("no answer from the vault"))
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


# ------------------------------------------------------------------------------------------------------ compensations


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
    bank.world.before = _raising(InDoubt("which charge?"))
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
    bank.world.before = _raising(RetryLater("not now"))
    assert said(await bank.ask(undoing(action, undo, "unknown"))) == ("retry", "unavailable", "none")
    bank.world.before = None
    assert said(await bank.ask(again(undoing(action, undo, "unknown")), 1)) == ("ok", "", "applied")
    assert await bank.status(action) == "cancelled"


@every_undo
async def test_the_undo_of_an_interrupted_mail_is_in_doubt(bank: Bank, undo: Command[Any, Any]) -> None:
    """Nothing can tell whether there is something to undo."""
    action = asked(Mail(amount=1))
    await bank.crash(action, applied=True)
    assert said(await bank.ask(undoing(action, undo, "unknown"), 1)) == ("refused", "in-doubt", "none")


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
    assert not bank.world.runs[0].cancelled
    assert said(await bank.ask(undoing(action, Unpay(), "unknown"))) == ("retry", "busy", "none")
    assert bank.world.runs[0].cancelled
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


# --------------------------------------------------------------------------------------------- payloads, forgetting


async def test_a_reply_that_is_too_large_rolls_the_effect_back(bank: Bank) -> None:
    """Its size is checked before the commit, so nothing happened that cannot be told."""
    action = asked(Pay(amount=1))
    bank.world.reply = Done(receipt="x" * 300_000)
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


class LostAnswer:
    """A database whose first commit takes place and is not heard of."""

    def __init__(self, inner: Database) -> None:
        self.dialect = inner.dialect
        self._inner = inner

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Commits, then loses the connection."""
        async with self._inner.begin() as tx:
            yield tx
        raise ConnectionError("the connection was lost")


class Away:
    """A database that does not answer."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Nobody is there."""
        raise ConnectionError("connection refused")
        yield  # pragma: no cover


def _raising(error: Exception) -> Callable[[Context], Awaitable[object]]:
    async def hook(_ctx: Context) -> None:
        raise error

    return hook


def test_the_effects_of_replies_are_the_wire_words() -> None:
    """The words compared above are those of the contract."""
    assert {effect.value for effect in ReplyEffect} == {"applied", "replayed", "none"}
