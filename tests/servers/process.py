"""One server process in a session of its own: started, signalled and ended as a group."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.servers.reaper import REAPER

POLL_SECONDS = 0.02
DYING_SECONDS_MAX = 30.0


class Started(Protocol):
    """As much of a `Popen` as is needed of a process that leads a session of its own."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        ...


class ServerProcess:
    """A process whose output goes to a file in its folder and which cannot outlive the test run."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        user: str | None = None,
        start: Callable[[Sequence[str], Path, Mapping[str, str]], Started] | None = None,
    ) -> None:
        """`start` is another way to begin than to execute the command: it is given command, folder and environment."""
        self.folder = folder
        self.log = folder / "output.log"
        self._command = command
        self._ended = False
        self._popen = self._execute(env, user) if start is None else start(command, folder, env)
        REAPER.watch(self.pid, folder)

    def _execute(self, env: Mapping[str, str], user: str | None) -> Started:
        owner = pwd.getpwnam(user) if user else None
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with, negative for a signal; None while it runs."""
        return self._popen.poll()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Poll. Raises RuntimeError with the end of the log when the process ends, or TimeoutError."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise RuntimeError(f"{self._command!r} ended:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._command!r} not ready after {seconds} s:\n{self._tail()}")
            time.sleep(POLL_SECONDS)

    def terminate(self, signal_number: int = signal.SIGTERM, *, seconds: float = 30) -> None:
        """Ask to end and wait; kill when it does not."""
        if self.running:
            os.kill(self.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        self.kill9()

    def kill9(self) -> None:
        """End all of it at once, as a power cut would, and wait until all of it is gone. Safe to call again.

        A child that is still dying holds what the next start asks for: shared memory, a port. Raises TimeoutError.
        """
        if self._ended:
            return
        if self.running:
            killed = self._signal_all(signal.SIGKILL)
            self._popen.wait()
            deadline = time.monotonic() + DYING_SECONDS_MAX
            while alive := [pid for pid in killed if lives(pid)]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self._command!r}: {alive} do not die")
                time.sleep(POLL_SECONDS)
        REAPER.forget(self.pid, self.folder)
        self._ended = True

    def freeze(self) -> None:
        """SIGSTOP to all of it: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, signal_number: int) -> list[int]:
        """To the process and its children; returns who they were."""
        pids = descendants(self.pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it ended first
                os.kill(pid, signal_number)
        return pids

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def descendants(root: int) -> list[int]:
    """The process and its children at any depth, parents first: PostgreSQL gives each child a group of its own."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:  # grows while we walk it
        found.extend(children.get(pid, ()))
    return found


def lives(pid: int) -> bool:
    """Whether it has not ended; one that has and that nobody waited for yet is a zombie and holds nothing."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
