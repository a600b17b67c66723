"""A process that has imported the engine and forks what a test kills by the dozen: a start takes milliseconds.

What it forks is a process like any other, with connections of its own, and dies like any other.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tests.servers.process import descendants
from tests.servers.reaper import REAPER

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30.0
POLL_SECONDS = 0.005
PRELOADED = (
    "saga.bootstrap.orchestrators",
    "saga.bootstrap.participants",
    "saga.cli.main",
    "saga.cli.serve",
    "saga.adapters.rabbitmq",
    "saga.adapters.postgres",
)


class Hatchery:
    """Forks processes by name; their output goes to `<folder>/<name>.log`, over all their lives."""

    def __init__(self, folder: Path, env: Mapping[str, str], *preloaded: str) -> None:
        self.pids: dict[str, int] = {}
        """Of the processes that run."""
        self._folder = folder
        self._env = env
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.hatchery", *PRELOADED, *preloaded],
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        REAPER.watch(self._process.pid, folder)

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run `python -m module arguments`."""
        self.pids[name] = self._fork(self._folder / f"{name}.log", (module, *arguments), ROOT, self._env)

    def fork(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> "Forked":
        """Run `python -m module arguments` in a folder, its output in `output.log` there. See `ServerProcess`."""
        interpreter, option, *argv = command
        assert (interpreter, option) == (sys.executable, "-m")
        return Forked(self._fork(folder / "output.log", argv, folder, env))

    def _fork(self, log: Path, argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"log": str(log), "argv": list(argv), "folder": str(folder), "env": dict(env)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def output(self, name: str) -> str:
        """What it wrote so far."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def kill9(self, *names: str) -> None:
        """End them at once, as a power cut would."""
        for name in names:
            os.kill(self.pids[name], signal.SIGKILL)
        self._gone(names)

    def stop(self) -> None:
        """Ask all to end, and wait. Raises TimeoutError."""
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        self._gone(tuple(self.pids))

    def close(self) -> None:
        """End everything that is left."""
        for pid in reversed(descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.communicate()
        REAPER.forget(self._process.pid, self._folder)

    def _gone(self, names: tuple[str, ...]) -> None:
        until = time.monotonic() + STOP_SECONDS
        for name in names:
            pid = self.pids.pop(name)
            while Path(f"/proc/{pid}").exists():
                if time.monotonic() > until:
                    raise TimeoutError(f"{name} does not end:\n{self.output(name)[-2_000:]}")
                time.sleep(POLL_SECONDS)


class Forked:
    """A process of a hatchery. What it ended with is not known: it is nobody's child here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor: int | None = None
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs."""
        return None if self._is_running(0) else 0

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self._is_running(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return 0

    def _is_running(self, seconds: float | None) -> bool:
        if self._descriptor is not None and select.select([self._descriptor], [], [], seconds)[0]:
            os.close(self._descriptor)
            self._descriptor = None
        return self._descriptor is not None


def main() -> None:
    """A line of JSON in, a process id out."""
    for module in sys.argv[1:]:
        __import__(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: no zombies
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        output = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        pid = os.fork()
        if pid == 0:
            _become(order["argv"], output, order["folder"], order["env"])
        os.close(output)
        print(pid, flush=True)


def _become(argv: list[str], output: int, folder: str, env: dict[str, str]) -> NoReturn:
    """This process is another one from here."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    sys.path[0] = folder
    os.environ.clear()
    os.environ.update(env)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.argv = argv
    status = 1
    try:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
