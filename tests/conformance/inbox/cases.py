"""A bank in two processes over one database, the messages it is sent, and databases that fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from saga.adapters.system import SystemClock
from saga.contract import Command, Context, contract_of
from saga.core.messages import CommandMessage, Kind, ReplyMessage
from saga.participant import Participant, Serving, answer_command
from saga.ports import Database, Transaction
from tests.conformance.inbox.bank import (
    Book,
    Mail,
    Pay,
    Recall,
    Transfer,
    Unbook,
    Unpay,
    World,
    forever,
)

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


class LostAnswer:
    """A database whose first commit takes place and is not heard of."""

    def __init__(self, inner: Database, error: type[Exception]) -> None:
        self.dialect = inner.dialect
        self._inner = inner
        self._error = error

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Commits, then loses the connection."""
        async with self._inner.begin() as tx:
            yield tx
        raise self._error("the connection was lost")


class FailsOnce:
    """A database that cannot begin a transaction the next time it is told so."""

    def __init__(self, inner: Database, error: type[BaseException]) -> None:
        self.dialect: Any = inner.dialect
        self.begun_count = 0
        self.fails = False
        self._inner = inner
        self._error = error

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Counts, and fails once."""
        self.begun_count += 1
        if self.fails:
            self.fails = False
            raise self._error("the connection was lost")
        async with self._inner.begin() as tx:
            yield tx


class Away:
    """A database that does not answer."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Nobody is there."""
        raise ConnectionError("connection refused")
        yield  # type: ignore[unreachable]  # makes it a generator


def raising(error: Exception) -> Callable[[Context], Awaitable[object]]:
    async def hook(_ctx: Context) -> None:
        raise error

    return hook
