"""Where the demo plays: processes, and the addresses of everything they keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from saga.demo.crew import Child
from saga.embedded import Place

STALLED_COMMAND = "ChargeCard"


class Town(Protocol):
    """Processes that run the reference domain, one of which is killed while it charges a card."""

    folder: Path
    """Holds the books of the outside world, and logs."""
    victim: str
    """What is killed, in words."""

    @property
    def store(self) -> str: ...

    @property
    def bus(self) -> str: ...

    @property
    def victim_pid(self) -> int: ...

    def database(self, service: str) -> str:
        """A service's own database."""
        ...

    async def open(self) -> None:
        """Start everything. Raises ChildFailed."""
        ...

    async def stall(self) -> Path:
        """Start the victim anew so that its next charge runs and never commits; returns the file that counts runs."""
        ...

    async def kill(self) -> None:
        """kill -9 the victim."""
        ...

    async def start_again(self) -> None:
        """Start the victim as it was. Raises ChildFailed."""
        ...

    def check(self) -> None:
        """Raises ChildFailed when a process has ended by itself."""
        ...

    async def close(self) -> None:
        """Drain and end everything."""
        ...


class OneProcess:
    """All of it in one `saga dev`, over files in a folder."""

    victim = "the one process that is everything here"

    def __init__(self, place: Place) -> None:
        self.folder = place.folder
        self.store = place.store
        self.bus = place.bus
        self.database = place.database
        self._child = Child("saga dev", ["saga.cli", "dev", "--state", str(place.folder)], place.folder / "dev.log", {})
        self._stall: Mapping[str, str] = {}

    @property
    def victim_pid(self) -> int:
        return self._child.pid

    async def open(self) -> None:
        """Start it. Raises ChildFailed."""
        await self._child.start("is ready", **self._stall)

    async def stall(self) -> Path:
        """Start it anew, stalling."""
        await self._child.stop()
        runs = self.folder / "charges-run.txt"
        self._stall = {"SAGA_FAULT_STALL": STALLED_COMMAND, "SAGA_FAULT_STALL_FILE": str(runs)}
        await self.open()
        return runs

    async def kill(self) -> None:
        """kill -9."""
        await self._child.kill()

    async def start_again(self) -> None:
        """As it was; its runs go on being counted."""
        await self.open()

    def check(self) -> None:
        """Raises ChildFailed."""
        self._child.check()

    async def close(self) -> None:
        """Drain and end it."""
        await self._child.stop()
