"""The command line as a user types it, over a store in a file."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.adapters.sqlite import open_store
from saga.cli.main import main
from saga.core.definition import canonical
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.ports import StoredDefinition
from tests.unit.engine.rig import PIVOTAL, TWO_STEPS, CountingIds, ManualClock, Rig, start_message


class Typed(msgspec.Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, decoded."""
        return msgspec.json.decode(self.out)


Type = Callable[..., Typed]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The url of a store that is not there yet."""
    return f"sqlite:///{tmp_path / 'saga.sqlite'}"


@pytest.fixture
def saga(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Type:
    """`saga(...)` runs a command against the store, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGA_STORE", store)

    def typed(*arguments: str) -> Typed:
        monkeypatch.setattr(sys, "argv", ["saga", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code
        captured = capfd.readouterr()
        return Typed(code if isinstance(code, int) else 0, captured.out, captured.err)

    return typed


@pytest.fixture
def unread(saga: Type, monkeypatch: pytest.MonkeyPatch) -> Type:
    """`unread(...)` runs a command whose reader has gone away."""

    def typed(*arguments: str) -> Typed:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as gone, monkeypatch.context() as only_here:
            only_here.setattr(sys, "stdout", gone)
            return saga(*arguments)

    return typed


@pytest.fixture
def started(saga: Type, store: str) -> str:
    """One order saga `o1` in the migrated store; its id."""
    assert saga("db", "migrate").code == 0

    async def begin() -> str:
        opened, rig, clock = (
            await open_store(store.removeprefix("sqlite:///"), clock=ManualClock()),
            Rig(),
            ManualClock(),
        )
        for plan in (TWO_STEPS, PIVOTAL):
            definition = plan.definition
            await opened.publish(
                StoredDefinition(plan.hash, definition.name, definition.version, canonical(definition))
            )
        catalog, time = Catalog(opened, clock), StoreClock(clock)
        cache, dispatches = SagaCache(opened, catalog, 10), Dispatches(rig.bus, opened, clock, 1)
        desk = Desk(Starts(catalog, CountingIds(), EngineSettings()), dispatches, time, EngineSettings())
        delivery = await rig.start()
        message = start_message(input=b'{\n  "id": "o1"\n}')  # as an editor saves it
        await Handler(opened, cache, desk, dispatches, time).handle([Work(message, "", delivery)])
        await opened.close()
        return CountingIds().saga()

    return asyncio.run(begin())
