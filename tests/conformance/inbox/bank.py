"""A service with one command for each declared effect, and three databases it can stand on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec

from saga.adapters.sqlite.database import inbox_sql
from saga.contract import Command, Context, Effect, Failure, Handler, InDoubt, command
from saga.ports import Transaction


class Done(msgspec.Struct, frozen=True):
    """Any reply."""

    receipt: str


class Declined(Failure, frozen=True):
    """Any business refusal."""

    reason: str


@command(service="bank", effect=Effect.INBOX)
class Pay(Command[Done, Declined], frozen=True):
    """Its effect is a row in the service's own table."""

    amount: int


@command(service="bank", effect=Effect.INBOX)
class Unpay(Command[Done, Declined], frozen=True):
    """Undoes any of the actions, in the service's own table."""

    receipt: str | None = None


@command(service="bank", effect=Effect.PROVIDER_KEY)
class Transfer(Command[Done, Declined], frozen=True):
    """Its effect is at a provider that applies a key once."""

    amount: int


@command(service="bank", effect=Effect.PROVIDER_KEY)
class Recall(Command[Done, Declined], frozen=True):
    """Undoes any of the actions, at the provider."""

    receipt: str | None = None


@command(service="bank", effect=Effect.PROBE)
class Book(Command[Done, Declined], frozen=True):
    """Its effect is at a provider that can be asked."""

    amount: int


@command(service="bank", effect=Effect.PROBE)
class Unbook(Command[Done, Declined], frozen=True):
    """Undoes any of the actions, at a provider that can be asked."""

    receipt: str | None = None


@command(service="bank", effect=Effect.AT_MOST_ONCE)
class Mail(Command[Done, Declined], frozen=True):
    """Nothing can tell whether it happened."""

    amount: int


@command(service="bank", effect=Effect.READ_ONLY)
class Quote(Command[Done, Declined], frozen=True):
    """Changes nothing."""

    amount: int


class World:
    """What really happened, and what handlers are told to do next."""

    def __init__(self) -> None:
        self.provider: dict[str, str] = {}
        """Effects outside, by idempotency key."""
        self.runs: list[Context] = []
        self.probes: list[str] = []
        self.before: Callable[[Context], Awaitable[object]] | None = None
        self.after: Callable[[Context], Awaitable[object]] | None = None
        self.reply: Done | Declined | None = None
        self.probe_blind = False
        self.probe_tokens = 0
        """What asking the provider costs."""

    def handlers(self) -> list[Handler]:
        """One for each command."""
        return [
            Pay.handled_by(self._inside, check=lambda cmd: "amount is below zero" if cmd.amount < 0 else None),
            Unpay.handled_by(self._inside),
            Transfer.handled_by(self._outside),
            Recall.handled_by(self._outside),
            Book.handled_by(self._outside, probe=self._probe),
            Unbook.handled_by(self._outside, probe=self._probe),
            Mail.handled_by(self._outside),
            Quote.handled_by(self._nowhere),
        ]

    async def _inside(self, _cmd: object, ctx: Context) -> Done | Declined:
        async def effect() -> None:
            sql = "insert into effects (idempotency_key) values ($1)"
            if isinstance(ctx.tx, sqlite3.Connection):
                ctx.tx.execute(sql, {"1": ctx.key})
            else:
                await ctx.tx.execute(sql, ctx.key)

        return await self._around(ctx, effect)

    async def _outside(self, _cmd: object, ctx: Context) -> Done | Declined:
        async def effect() -> None:
            self.provider.setdefault(ctx.key, f"r-{ctx.key[:4]}")

        return await self._around(ctx, effect)

    async def _nowhere(self, _cmd: object, ctx: Context) -> Done | Declined:
        async def effect() -> None:
            assert ctx.tx is None

        return await self._around(ctx, effect)

    async def _around(self, ctx: Context, effect: Callable[[], Awaitable[None]]) -> Done | Declined:
        self.runs.append(ctx)
        if self.before is not None:
            await self.before(ctx)
        if not isinstance(self.reply, Declined):
            await effect()
        if self.after is not None:
            await self.after(ctx)
        return self.reply or Done(receipt=f"r-{ctx.key[:4]}")

    async def _probe(self, _cmd: object, ctx: Context) -> Done | None:
        self.probes.append(ctx.key)
        if self.probe_tokens:
            ctx.add_cost(self.probe_tokens, "tokens")
        if self.probe_blind:
            raise InDoubt("the provider does not say")
        receipt = self.provider.get(ctx.key)
        return None if receipt is None else Done(receipt=receipt)


class TeamTransaction:
    """What a team writes for its own library: the handle for its handlers, and one way to run our statements."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def handle(self) -> sqlite3.Connection:
        """Handlers get what the team is used to."""
        return self._connection

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Parameters are named by their number."""
        return self._connection.execute(sql, {str(n): value for n, value in enumerate(arguments, 1)}).fetchall()


class TeamDatabase:
    """What a team writes for its own library: a transaction that commits or rolls back."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """A connection for each transaction, as small libraries do."""
        connection = sqlite3.connect(self._path, timeout=0.05, isolation_level=None)
        try:
            connection.execute("begin immediate")
            try:
                yield TeamTransaction(connection)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")
        finally:
            connection.close()

    def create(self, own_tables: str) -> None:
        """Run the printed schema, as a team's migration tool would."""
        connection = sqlite3.connect(self._path)
        connection.executescript(inbox_sql() + own_tables)
        connection.close()


async def forever(_ctx: Context) -> None:
    """A handler that is never heard of again."""
    await asyncio.Event().wait()
