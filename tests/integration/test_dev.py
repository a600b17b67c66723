"""What `saga dev` is made of, in this process: restarts, guests that find it again, and mistakes."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from contracts.inventory import ReleaseStock, ReserveStock
from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.embedded import FolderTaken, FolderUnusable, Parts, Place, TwoOfOneName, claimed, live, place_in
from saga.engine.lookup import describe
from saga.participant import Participant
from saga.ports import SagaFilter, Unavailable
from saga.stores import CLOCK, IDS, open_store
from services.inventory import MIGRATIONS, handlers
from services.ordering.definitions import order
from tests.acceptance.load import Mix, order_of

ROOT = Path(__file__).parents[2]
SOON_SECONDS = 20.0
PLAIN = Mix(sold_out=0, declined=0, prepaid=0, over_limit=0)


def inventory() -> Participant:
    handled = [ReserveStock.handled_by(handlers.reserve), ReleaseStock.handled_by(handlers.release)]
    return Participant("inventory", handlers=handled, migrations=MIGRATIONS)


@asynccontextmanager
async def dev(place: Place, *participants: Participant) -> AsyncIterator[int]:
    """Running; gives how many commands were sent again."""
    stop = asyncio.Event()
    resent: list[int] = []
    task = asyncio.create_task(live(place, Parts(participants, [order]), stop, resent.append))
    while not resent and not task.done():
        await asyncio.sleep(0.01)
    try:
        if resent:
            yield resent[0]
    finally:
        stop.set()
        await task


async def waiting_at(place: Place, step: str) -> str:
    """The id of the one saga there is, once it waits at that step."""
    store = await open_store(place.store)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                rows = await store.sagas(SagaFilter())
                if rows and rows[0].wait_text.startswith(step):
                    return rows[0].saga
                await asyncio.sleep(0.02)
    finally:
        await store.close()


async def test_what_was_on_the_wire_is_sent_again(tmp_path: Path) -> None:
    """The broker forgets everything with the process; the next one sends what is outstanding, and it is answered."""
    place = place_in(tmp_path)
    async with dev(place) as resent:
        assert resent == 0
        bus = await open_bus(place.bus, name="test")
        client = Client(bus, IDS, name="test")
        saga = (await client.start(order, msgspec.json.decode(order_of("dev", 1, PLAIN).body))).saga
        await client.close()
        await bus.close()
        assert await waiting_at(place, "reserve") == saga
    async with dev(place, inventory()) as resent:
        assert resent == 1
        await waiting_at(place, "charge")  # inventory has answered; nobody charges here
    store = await open_store(place.store)
    detail = await describe(store, CLOCK, saga)
    await store.close()
    assert detail is not None
    assert [(step.path, step.state) for step in detail.steps] == [("reserve", "ok"), ("charge", "open")]


async def test_a_guest_finds_a_restarted_process_again(tmp_path: Path) -> None:
    """A caller with a connection open keeps asking through a restart, and hears the answer on the same bus."""
    place = place_in(tmp_path)
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(dev(place))
        bus = await open_bus(place.bus, name="test")
        client = Client(bus, IDS, name="test")
        body = order_of("dev", 1, PLAIN).body
        saga = (await client.start("order", body)).saga
        await first.aclose()
        asked = asyncio.create_task(client.start("order", body))
        await asyncio.sleep(0.2)
        assert not asked.done()
        async with dev(place):
            again = await asyncio.wait_for(asked, SOON_SECONDS)
            assert (again.saga, again.existing) == (saga, True)
            await client.close()
            await bus.close()


async def test_nobody_there_is_said_with_the_fix(tmp_path: Path) -> None:
    """A folder without a process behind it names the command that starts one."""
    with pytest.raises(Unavailable, match=r"nobody listens there .* Fix: start `saga dev --state"):
        await open_bus(place_in(tmp_path).bus, name="test")


async def test_a_folder_with_a_long_name_is_refused(tmp_path: Path) -> None:
    """A socket's name has a limit that a file's has not: the message says so."""
    with pytest.raises(Unavailable, match="too long for the name of a socket"):
        await open_bus(f"dev://{tmp_path / ('x' * 100)}", name="test")


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    """Whoever comes second is told who is there; a process that is gone, however it went, leaves the folder free."""
    place = place_in(tmp_path)
    code = (
        "import os, sys, pathlib; from saga.embedded import claimed, place_in\n"
        "with claimed(place_in(pathlib.Path(sys.argv[1]))): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(FolderTaken, match=f"process {other.pid} lives in .*--state"), claimed(place):
            raise AssertionError("two processes in one folder")
        other.kill()
    with claimed(place):
        assert int((tmp_path / "lock").read_text()) > 0


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Before anything is started, with the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match=r"file/state cannot be used: .* Fix: name another --state"):
        place_in(tmp_path / "file" / "state")


async def test_two_participants_of_one_name_are_refused(tmp_path: Path) -> None:
    """They would share a queue and answer with half of the handlers each."""
    with pytest.raises(TwoOfOneName, match="inventory is given twice"):
        async with dev(place_in(tmp_path), inventory(), inventory()):
            pass
