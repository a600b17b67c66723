"""A process that has imported the engine and forks what a test kills by the dozen: a start takes milliseconds.

What it forks is a process like any other, with connections of its own, and dies like any other.
"""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
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
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.hatchery", *PRELOADED, *preloaded],
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        REAPER.watch(self._process.pid, folder)

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run `python -m module arguments`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"log": str(self._folder / f"{name}.log"), "argv": [module, *arguments]}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self.pids[name] = int(self._process.stdout.readline())

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


def main() -> None:
    """A line of JSON in, a process id out."""
    for module in sys.argv[1:]:
        __import__(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: no zombies
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(Path(order["log"]), order["argv"])
        print(pid, flush=True)


def _become(log: Path, argv: list[str]) -> NoReturn:
    """This process is another one from here."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
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
