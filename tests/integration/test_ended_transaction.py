"""A handler ends the transaction that is the library's to end, or a savepoint, which is its own."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from saga.adapters.postgres.database import PostgresDatabase
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.core.messages import Outcome, ReplyEffect
from saga.participant import Participant, Serving, answer_command
from tests.conformance.inbox.bank import Declined, World
from tests.integration.test_service_database import AnyDatabase, a_payment


@pytest.fixture(params=["postgres", "sqlite"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyDatabase]:
    """Each built-in database, with its tables."""
    made: AnyDatabase
    if request.param == "postgres":
        made = PostgresDatabase(request.getfixturevalue("database"))
    else:
        made = SqliteDatabase(str(tmp_path / "s.db"), clock=SystemClock())
    (tmp_path / "0001_effects.sql").write_text("create table effects (idempotency_key text not null);")
    await made.migrate("bank", tmp_path)
    yield made
    await made.close()


async def through_us(ctx: Any, statement: str) -> None:
    """As most handlers would."""
    await ctx.tx.execute(statement)


async def beside_us(ctx: Any, statement: str) -> None:
    """With the driver's own connection."""
    done = ctx.tx.connection.execute(statement)
    if hasattr(done, "__await__"):
        await done


@pytest.mark.parametrize("way", [through_us, beside_us])
@pytest.mark.parametrize("statement", ["rollback", "commit"])
async def test_its_answer_is_not_remembered(opened: AnyDatabase, way: Any, statement: str) -> None:
    """What the effect became is not what the answer would say, so the saga hears whose mistake that is, each time."""
    world = World()
    serving = Serving(Participant("bank", world.handlers()), opened, SystemClock(), "p")

    async def end(ctx: Any) -> None:
        await way(ctx, statement)

    world.after = end
    for _ in range(2):
        reply = await answer_command(serving, a_payment())
        assert reply.outcome is Outcome.RETRY
        assert "ended the transaction that it got. Fix: leave commit and rollback to" in reply.message
    async with opened.begin() as tx:
        assert await tx.execute("select key from saga_inbox") == []
    world.after = None
    assert (await answer_command(serving, a_payment())).outcome is Outcome.OK


async def test_a_transaction_ended_with_the_driver_is_not_committed(opened: AnyDatabase) -> None:
    """Also where nothing of the library follows the handler's last statement."""

    async def leave() -> None:
        async with opened.begin() as tx:
            done: Any = tx.connection.execute("rollback")
            if hasattr(done, "__await__"):
                await done

    with pytest.raises(RuntimeError, match="ended the transaction"):
        await leave()
    async with opened.begin() as tx:
        assert await tx.execute("select key from saga_inbox") == []


async def test_a_savepoint_is_the_handlers_own(opened: AnyDatabase) -> None:
    """As the guide says: an error is caught in it, what it wrote is undone, and the refusal is remembered."""
    world = World()
    world.reply = Declined(reason="twice")
    serving = Serving(Participant("bank", world.handlers()), opened, SystemClock(), "p")
    written = "insert into effects values ('a')"

    async def on_postgres(ctx: Any) -> None:
        with contextlib.suppress(asyncpg.NotNullViolationError):
            async with ctx.tx.connection.transaction():
                await ctx.tx.execute(written)
                await ctx.tx.execute("insert into effects values (null)")

    async def on_sqlite(ctx: Any) -> None:
        await ctx.tx.execute("savepoint mine")
        await ctx.tx.execute(written)
        with pytest.raises(sqlite3.IntegrityError):
            await ctx.tx.execute("insert into effects values (null)")
        await ctx.tx.execute("rollback to mine")

    world.before = on_postgres if opened.dialect == "postgres" else on_sqlite
    replies = [await answer_command(serving, a_payment()) for _ in range(2)]
    assert [(reply.outcome, reply.effect) for reply in replies] == [
        (Outcome.FAILED, ReplyEffect.NONE),
        (Outcome.FAILED, ReplyEffect.REPLAYED),
    ]
    async with opened.begin() as tx:
        assert await tx.execute("select 1 from effects") == []
