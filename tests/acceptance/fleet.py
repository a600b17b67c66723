"""The processes of a run: started, killed with -9, started again; every kill is logged."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.acceptance.audit import Kill
from tests.acceptance.hatchery import Forked, Hatchery
from tests.servers.process import ServerProcess

STOP_SECONDS = 40

Start = Callable[[Sequence[str], Path, Mapping[str, str]], Forked]
"""Of a process with this command, in this folder, with this environment."""


class Member:
    """One process that is kept running."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], start: Start) -> None:
        self.name = name
        self._start = start
        self.starts_count = 0
        self._command = [sys.executable, "-m", *command]
        self._folder = folder
        self._env = env
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None, "start it first"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs; a process that ended by itself does not."""
        return self._process is not None and self._process.running

    @property
    def output(self) -> str:
        """What it wrote, over all its lives."""
        log = self._folder / "output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self) -> None:
        """Start it, again or for the first time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = ServerProcess(self._command, folder=self._folder, env=self._env, start=self._start)
        self.starts_count += 1

    def wait_for(self, words: str, *, seconds: float = 30) -> str:
        """The line with these words. Raises TimeoutError, or RuntimeError when the process ended."""
        assert self._process is not None, "start it first"
        self._process.wait_until(lambda: words in self.output, seconds=seconds)
        return next(line for line in self.output.splitlines() if words in line)

    def kill9(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill9()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        if self._process is not None:
            self._process.terminate(seconds=STOP_SECONDS)


class Fleet:
    """All processes of the run."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.members: dict[str, Member] = {}
        self.kills: list[Kill] = []
        self.revived: list[str] = []
        """Members that ended by themselves and were started again, as a supervisor does."""
        self._folder = folder
        self._env = dict(env)
        self._hatchery: Hatchery | None = None

    def add(self, name: str, *command: str, **env: str) -> Member:
        """A process named so; it is started with the rest. `command` begins with a Python module."""
        assert name not in self.members, f"two processes are named {name}"
        self.members[name] = Member(name, command, self._folder / name, {**self._env, **env}, self._fork)
        return self.members[name]

    def start(self, chosen: Callable[[str], bool] = lambda _: True) -> None:
        """Start every member so named that does not run."""
        for name, member in self.members.items():
            if chosen(name) and not member.running:
                member.start()

    def kill(self, name: str) -> None:
        """Kill -9, and log it."""
        self.members[name].kill9()
        self.kills.append(Kill(process=name, at_ns=time.time_ns()))

    def revive(self, names: Iterable[str]) -> None:
        """Start those that ended by themselves: a process without a broker at its start gives up."""
        for name in names:
            if not self.members[name].running:
                self.members[name].start()
                self.revived.append(name)

    def stop(self) -> None:
        """Ask all to end, the newest first."""
        for member in reversed(self.members.values()):
            member.terminate()

    def close(self) -> None:
        """End all at once."""
        for member in self.members.values():
            member.kill9()
        if self._hatchery is not None:
            self._hatchery.close()

    def _fork(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Forked:
        if self._hatchery is None:
            self._hatchery = Hatchery(self._folder, self._env)
        return self._hatchery.fork(command, folder, env)
