"""Orchestrator, participants and broker in one process, over files in one folder: what `saga dev` runs.

The broker is in memory and loses everything with the process; the files do not. At its start the process sends again
what the open sagas had on the wire, so it may be killed at any moment.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from saga.bootstrap.definitions import publish
from saga.bootstrap.participants import open_database, prepare
from saga.bootstrap.shared import shared_broker
from saga.bootstrap.telemetry import live_tracing
from saga.core.errors import SagaError
from saga.define import Definition
from saga.engine.catalog import Catalog
from saga.engine.resend import resend_all
from saga.engine.settings import EngineSettings
from saga.engine.worker import Orchestrator
from saga.participant import Participant, Serving, run
from saga.stores import CLOCK, IDS, open_store

FOLDER_MODE = 0o700
"""Whoever may open the files and the socket may do everything."""

log = logging.getLogger("saga")


class FolderTaken(SagaError):
    """Another process lives in the folder."""

    code = "SAGA-1011"


class FolderUnusable(SagaError):
    """The folder cannot be made or written to."""

    code = "SAGA-1012"


class TwoOfOneName(SagaError):
    """Two participants are given for one service: they would take each other's commands."""

    code = "SAGA-2105"


class Place(msgspec.Struct, frozen=True):
    """The folder of a process, and the addresses in it. Make it with `place_in`."""

    folder: Path

    @property
    def store(self) -> str:
        """The engine's store."""
        return f"sqlite:///{self.folder / 'saga.sqlite'}"

    @property
    def bus(self) -> str:
        """The broker, for other processes of this machine."""
        return f"dev://{self.folder}"

    def database(self, service: str) -> str:
        """A service's own database."""
        return f"sqlite:///{self.folder / service}.sqlite"


class Parts(msgspec.Struct, frozen=True):
    """Who lives in the process."""

    participants: Sequence[Participant]
    definitions: Sequence[Definition[Any, Any]]


def place_in(folder: Path) -> Place:
    """Make the folder, if it is not there, so that nobody else may look into it and no repository takes it up.

    Raises FolderUnusable.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be used: {error.strerror}. Fix: name another --state") from None
    return Place(folder)


@contextmanager
def claimed(place: Place) -> Iterator[None]:
    """Keep other processes out until this one ends, however it ends. Raises FolderTaken."""
    with (place.folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderTaken(
                f"process {lock.read().strip() or '?'} lives in {place.folder}. Fix: end it, or use another --state"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def live(
    place: Place,
    parts: Parts,
    stop: asyncio.Event,
    ready: Callable[[int], None],
    *,
    settings: EngineSettings | None = None,
) -> None:
    """Run everything until `stop`, then drain. The folder must be `claimed`.

    `ready` is told how many commands were sent again once all work. Raises TwoOfOneName, TwoOfOneVersion,
    DefinitionConflict, SchemaMismatch, Unavailable.
    """
    _check(parts)
    async with AsyncExitStack() as stack:
        store = await open_store(place.store)
        stack.push_async_callback(store.close)
        await store.migrate()
        await publish(store, *parts.definitions)
        services = await Catalog(store, CLOCK).services() | {each.service for each in parts.participants}
        broker = await stack.enter_async_context(shared_broker(services, place.folder))
        engine = Orchestrator(store, broker.bus("orchestrator"), CLOCK, IDS, settings or EngineSettings())
        servings = [await stack.enter_async_context(_serving(place, each)) for each in parts.participants]
        ready(await resend_all(store, broker.bus("orchestrator"), CLOCK))
        answering = [run(each, broker.bus(each.participant.service), stop) for each in servings]
        await _all([_orchestrate(engine, stop), *answering], stop)


def _check(parts: Parts) -> None:
    names = [participant.service for participant in parts.participants]
    for name in names:
        if names.count(name) > 1:
            raise TwoOfOneName(f"{name} is given twice. Fix: name each participant once")


@asynccontextmanager
async def _serving(place: Place, participant: Participant) -> AsyncIterator[Serving]:
    """A participant over its own file, with its tables made."""
    if participant.database is not None or not participant.needs_database():
        yield Serving(participant, None, CLOCK, f"{participant.service} {os.getpid()}", tracing=live_tracing(""))
        return
    database = await open_database(place.database(participant.service))
    try:
        await prepare(database, participant, migrate=True)
        yield Serving(participant, database, CLOCK, f"{participant.service} {os.getpid()}", tracing=live_tracing(""))
    finally:
        await database.close()


async def _orchestrate(engine: Orchestrator, stop: asyncio.Event) -> None:
    running = asyncio.create_task(engine.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        engine.stop()
        await running


async def _all(works: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run them until each has ended. The first that fails stops the others, and its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
