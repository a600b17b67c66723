"""Who waits for a service's connections to PostgreSQL: handlers for each other, the library for none of them."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from saga.adapters.postgres.database import DatabaseSettings, PostgresDatabase
from saga.adapters.system import SystemClock
from saga.bootstrap import participants as bootstrap
from saga.core.errors import Unavailable
from saga.core.messages import Outcome
from saga.participant import Participant, Serving, answer_command
from saga.participant.serve import ask
from saga.settings import Settings
from tests.conformance.inbox.bank import Book, Pay, World
from tests.conformance.inbox.cases import OWN_TABLES, asked
from tests.proxy import FaultProxy, Mode


async def test_handlers_with_every_connection_leave_leases_alone(database: str, tmp_path: Path) -> None:
    """While they hold all there are, a command under a lease is claimed, kept and answered beside them; the process is
    as ready as before."""
    world = World()
    service = PostgresDatabase(database, DatabaseSettings(connections_max=2, connect_timeout=timedelta(seconds=1)))
    await service.migrate("bank", tables(tmp_path))
    participant = Participant("bank", world.handlers(), lease=timedelta(seconds=1))
    serving = Serving(participant, service, SystemClock(), "p")
    holding, hold = asyncio.Semaphore(0), asyncio.Event()

    async def wait(ctx: Any) -> None:
        if ctx.tx is not None:
            holding.release()
            await hold.wait()
            return
        claimed = await lease_of(service)
        async with asyncio.timeout(5):
            while await lease_of(service) <= claimed:
                await asyncio.sleep(0.02)

    world.before = wait
    payments = [asyncio.create_task(answer_command(serving, asked(Pay(amount=1), str(n)))) for n in (1, 2)]
    for _ in payments:
        await holding.acquire()
    assert (await answer_command(serving, asked(Book(amount=1), "3"))).outcome is Outcome.OK
    await ask(serving)
    hold.set()
    assert {reply.outcome for reply in await asyncio.gather(*payments)} == {Outcome.OK}
    await service.close()


async def test_a_full_server_leaves_leases_alone(database: str, tmp_path: Path) -> None:
    """Where no connection can be added, short transactions share those they have."""
    address = urlsplit(database)
    async with FaultProxy(address.hostname or "", address.port or 5432) as proxy:
        service = PostgresDatabase(proxy.url(database))
        await service.migrate("bank", tables(tmp_path))
        async with service.begin_short():
            async with service.begin_short():
                pass
            proxy.mode = Mode.REFUSE
            with pytest.raises(Unavailable):
                async with service.begin():
                    pass
            async with asyncio.timeout(5):
                async with service.begin_short():
                    waiting = asyncio.create_task(rows_count(service))
                    await asyncio.sleep(0)
                assert await waiting == 0
        await service.close()


async def test_as_many_handlers_as_the_participant_allows_have_transactions(
    database: str, vhost: str, tmp_path: Path
) -> None:
    """What `saga serve` opens is as large as `concurrency`; nobody waits for a connection and is given back."""
    world, everybody = World(), asyncio.Barrier(40)
    participant = Participant("bank", world.handlers(), migrations=tables(tmp_path), concurrency=40)
    settings = Settings(amqp=vhost, database=database)
    async with bootstrap.serving(settings, participant, name="p", migrate=True) as (serving, _):
        world.before = lambda _: asyncio.wait_for(everybody.wait(), 5)
        commands = [asked(Pay(amount=1), str(number)) for number in range(40)]
        replies = await asyncio.gather(*(answer_command(serving, command) for command in commands))
    assert {reply.outcome for reply in replies} == {Outcome.OK}


def tables(folder: Path) -> Path:
    """The migrations of the service."""
    (folder / "0001_effects.sql").write_text(OWN_TABLES)
    return folder


async def lease_of(service: PostgresDatabase) -> int:
    """When the one row in progress is anybody's."""
    async with service.begin_short() as tx:
        [(until,)] = await tx.execute("select lease_until from saga_inbox where status = 'in_progress'")
    assert isinstance(until, int)
    return until


async def rows_count(service: PostgresDatabase) -> object:
    """In a short transaction."""
    async with service.begin_short() as tx:
        return (await tx.execute("select count(*) from saga_inbox"))[0][0]
