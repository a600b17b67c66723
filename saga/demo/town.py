"""Where the demo plays: processes, and the addresses of everything they keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from saga.demo import reference
from saga.demo.crew import Child
from saga.embedded import Place
from saga.settings import approvers_as_text

GATEWAY = "desk"
"""A broker user who vouches for people, where users can be had for the asking."""


class Town(Protocol):
    """Processes that run a reference process, one of which can be killed while it is at a command."""

    folder: Path
    """Holds the books of the outside world, and logs."""

    @property
    def store(self) -> str: ...

    @property
    def bus(self) -> str: ...

    @property
    def gateway(self) -> str:
        """The bus for a user who vouches for people."""
        ...

    @property
    def victim(self) -> str:
        """What is killed, in words."""
        ...

    @property
    def victim_pid(self) -> int: ...

    def database(self, service: str) -> str:
        """A service's own database."""
        ...

    async def open(self) -> None:
        """Start everything. Raises ChildFailed."""
        ...

    async def stall(self, service: str, command: str) -> Path:
        """Make this service the victim and start it anew: the next `command` it gets runs and never commits.

        Returns a file that has a line for each run of it.
        """
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


def people(piece: str, gateway: str) -> dict[str, str]:
    """What an orchestrator must be told of the people of a piece, as environment."""
    approvers = reference.PIECES[piece].approvers
    return {"SAGA_GATEWAYS": gateway, "SAGA_APPROVERS": approvers_as_text(approvers)} if approvers else {}


def runs_of(folder: Path, service: str, command: str) -> Path:
    """Where the runs of a command that stalls are counted."""
    return folder / f"runs-{service}-{command}.txt"


def stalling(command: str, runs: Path) -> dict[str, str]:
    """What makes a service stall, as environment: see `services/faults.py`."""
    return {"SAGA_FAULT_STALL": command, "SAGA_FAULT_STALL_FILE": str(runs)}


class OneProcess:
    """All of it in one `saga dev`, over files in a folder."""

    victim = "the one process that is everything here"

    def __init__(self, place: Place, piece: str) -> None:
        self.folder = place.folder
        self.store = place.store
        self.bus = place.bus
        self.gateway = f"dev://{GATEWAY}@{place.folder}"
        self.database = place.database
        command = ["saga.cli", "dev", "--state", str(place.folder), "--reference", piece]
        self._child = Child("saga dev", command, place.folder / "dev.log", people(piece, GATEWAY))
        self._stall: Mapping[str, str] = {}

    @property
    def victim_pid(self) -> int:
        return self._child.pid

    async def open(self) -> None:
        """Start it. Raises ChildFailed."""
        await self._child.start("is ready", **self._stall)

    async def stall(self, service: str, command: str) -> Path:
        """Start it anew, stalling."""
        await self._child.stop()
        runs = runs_of(self.folder, service, command)
        self._stall = stalling(command, runs)
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
