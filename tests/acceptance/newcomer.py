"""Somebody who tries the engine for the first time: a folder, a module, commands typed in a shell."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.acceptance.pages import ROOT
from tests.servers.process import ServerProcess

SECONDS_MAX = 30
POLL_SECONDS = 0.1

TRIP = """
from msgspec import Struct
from saga import Command, Context, Effect, Participant, Saga, command, define


class Room(Struct, frozen=True):
    number: int


class Released(Struct, frozen=True):
    pass


@command(service="hotel", effect=Effect.INBOX)
class ReserveRoom(Command[Room], frozen=True):
    trip_id: str


@command(service="hotel", effect=Effect.INBOX)
class ReleaseRoom(Command[Released], frozen=True):
    trip_id: str


async def reserve(cmd: ReserveRoom, ctx: Context) -> Room:
    return Room(number=101)


async def release(cmd: ReleaseRoom, ctx: Context) -> Released:
    return Released()


hotel = Participant("hotel", handlers=[ReserveRoom.handled_by(reserve), ReleaseRoom.handled_by(release)])


class Trip(Struct, frozen=True):
    trip_id: str


@define("trip", version=1)
def trip(s: Saga, trip: Trip) -> Room:
    s.key(trip.trip_id)
    return s.step("room", ReserveRoom(trip_id=trip.trip_id), undo=ReleaseRoom(trip_id=trip.trip_id))
"""
"""What a newcomer has typed from the README, cut down to one step."""


class Answered(msgspec.Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, decoded."""
        return msgspec.json.decode(self.out)


class Newcomer:
    """A folder with a `trip.py`, and the addresses of servers in the environment."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAGA_")},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SAGA_LOG_FORMAT": "text",  # as on a terminal
            "SAGA_LOG_TEXTS": "always",
            **environment,
        }
        self.write()

    def write(self, *changes: tuple[str, str], module: str = "trip", name: str = "") -> None:
        """Write a module, with a mistake in it: each change replaces a text. `name` makes saga and service its own."""
        text = TRIP
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        if name:
            text = text.replace('"hotel"', f'"{name}"').replace('@define("trip"', f'@define("{name}"')
        (self.folder / f"{module}.py").write_text(text)

    def saga(self, *arguments: str, **environment: str) -> Answered:
        """Type a command and wait for its end."""
        done = subprocess.run(
            [sys.executable, "-m", "saga.cli", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        return Answered(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(
        self, *arguments: str, program: tuple[str, ...] = ("-m", "saga.cli"), **environment: str
    ) -> Iterator["Running"]:
        """A command that goes on until this ends."""
        folder = Path(tempfile.mkdtemp(prefix=f"{arguments[0]}-", dir=self.folder))
        process = ServerProcess(
            [sys.executable, *program, *arguments],
            folder=folder,
            env={**self.environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}", **environment},
        )
        try:
            yield Running(process)
        finally:
            process.terminate()

    def waits(self, saga: str, word: str) -> str:
        """Why it waits, once `saga show` says this word."""
        return until(lambda: self.saga("show", saga).out, word)


class Running:
    """A command that goes on."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process

    def said(self, word: str) -> str:
        """What it wrote, once this word is in it."""
        return until(self._process.log.read_text, word)


def until(look: Callable[[], str], word: str) -> str:
    """What is seen, once the word is in it."""
    end = time.monotonic() + SECONDS_MAX
    while word not in (seen := look()):
        assert time.monotonic() < end, f"never said {word!r}:\n{seen}"
        time.sleep(POLL_SECONDS)
    return seen
