"""A service under test: in two processes over the same data, with its effects in sight."""

import inspect
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.contract import Handler
from saga.core.messages import CommandMessage, ReplyMessage
from saga.participant import Participant, Serving, answer_command
from saga.ports import Clock, Database

Answering = Callable[[CommandMessage], Awaitable[ReplyMessage]]
"""A participant that was written without the library: the message in, its reply out."""
Subject = Participant | Handler | Sequence[Handler] | Answering
Effects = str | Callable[[], int | Awaitable[int]]
"""SQL whose one value is counted in the service's database, or a function that counts somewhere else."""

_END_LEASES = "update saga_inbox set lease_until = 1 where status = 'in_progress'"
_FORGET = "delete from saga_inbox where key = $1"


class Service:
    """The service for one test."""

    def __init__(self, processes: Sequence[Answering], effects: Effects, database: Database | None) -> None:
        self._processes = processes
        self._effects = effects
        self._database = database

    async def ask(self, command: CommandMessage, process: int) -> ReplyMessage:
        """What one of its two processes answers."""
        return await self._processes[process](command)

    async def effects(self) -> int:
        """How much stands now. Raises TypeError for a count that is no number."""
        if isinstance(self._effects, str):
            rows = await self._sql(self._effects)
            # The sum of no rows is null; Postgres gives the sum of bigints as a decimal.
            count = (rows[0][0] or 0) if rows and rows[0] else None
        else:
            counted = self._effects()
            count = await counted if inspect.isawaitable(counted) else counted
        if not isinstance(count, int | Decimal) or count != int(count):
            raise TypeError(f"effects gave {count!r}. Fix: SQL or a function that gives one whole number")
        return int(count)

    async def end_leases(self) -> None:
        """Let the time pass after which others may take over what a dead process held."""
        if self._database is not None:
            await self._sql(_END_LEASES)

    async def forget(self, key: str) -> bool:
        """Let the time pass after which a key is forgotten; False where there is no inbox of ours."""
        if self._database is None:
            return False
        await self._sql(_FORGET, key)
        return True

    async def _sql(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        if self._database is None:
            raise TypeError("effects is SQL, but this participant has no database here. Fix: pass database=")
        async with self._database.begin() as tx:
            return await tx.execute(statement, *arguments)


class Workshop:
    """Makes services: each in a fresh SQLite file, or all in the database that was given."""

    def __init__(self, subject: Subject, effects: Effects, database: Database | None, folder: Path) -> None:
        self._subject = _participant_of(subject)
        self._effects = effects
        self._database = database
        self._template = folder / "template.sqlite"
        self._folder = folder
        self._count = 0
        self._clock: Clock = SystemClock()

    async def prepare(self, migrations: Path | None) -> None:
        """Make the service's tables, once."""
        if self._database is None and isinstance(self._subject, Participant):
            database = SqliteDatabase(str(self._template), clock=self._clock)
            await database.migrate(self._subject.service, migrations or self._subject.migrations)
            await database.close()

    @asynccontextmanager
    async def service(self) -> AsyncIterator[Service]:
        """One more, for one test."""
        if not isinstance(self._subject, Participant):
            yield Service([self._subject] * 2, self._effects, self._database)
            return
        given = self._subject.database or self._database
        if given is not None:
            yield Service(self._processes(self._subject, given, given), self._effects, given)
            return
        self._count += 1
        path = self._folder / f"{self._count}.sqlite"
        shutil.copy(self._template, path)
        opened = [SqliteDatabase(str(path), clock=self._clock) for _ in range(2)]
        try:
            yield Service(self._processes(self._subject, *opened), self._effects, opened[0])
        finally:
            for database in opened:
                await database.close()
            path.unlink()

    def _processes(self, participant: Participant, *databases: Database) -> list[Answering]:
        return [self._process(participant, database, f"process-{n}") for n, database in enumerate(databases)]

    def _process(self, participant: Participant, database: Database, name: str) -> Answering:
        serving = Serving(participant, database, self._clock, name)

        async def answering(command: CommandMessage) -> ReplyMessage:
            return await answer_command(serving, command)

        return answering


@asynccontextmanager
async def workshop(
    subject: Subject, effects: Effects, database: Database | None, migrations: Path | None
) -> AsyncIterator[Workshop]:
    """A workshop with the service's tables, and a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="saga-testing-") as folder:
        made = Workshop(subject, effects, database, Path(folder))
        await made.prepare(migrations)
        yield made


def _participant_of(subject: Subject) -> Participant | Answering:
    if isinstance(subject, Participant):
        return subject
    if isinstance(subject, Handler):
        return Participant(subject.contract.service, [subject])
    if isinstance(subject, Sequence):
        return Participant(subject[0].contract.service, subject)
    return subject
