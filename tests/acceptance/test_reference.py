"""`saga dev` without arguments: every reference process can be started from another terminal, and decided on."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.demo.reference import PIECES

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 60
COMMAND = [sys.executable, "-m", "saga.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Terminal:
    """The other one: what `saga dev` says to export is set."""

    def __init__(self, said: str) -> None:
        self.said = said
        (line,) = [line for line in said.splitlines() if line.startswith("  export ")]
        self._exported = dict(word.split("=", 1) for word in shlex.split(line)[1:])

    def start_line(self, name: str) -> list[str]:
        """What `saga dev` says to type, to start a process."""
        (line,) = [line for line in self.said.splitlines() if f" start {name} " in line]
        return shlex.split(line)[1:]

    def saga(self, *arguments: str) -> Any:
        """Run a command; its JSON. Fails when it fails."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env={**ENVIRONMENT, **self._exported},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return msgspec.json.decode(done.stdout)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Beside a `saga dev` that runs."""
    folder = tmp_path_factory.mktemp("dev")
    log = folder / "dev.log"
    with log.open("wb") as said:
        dev = subprocess.Popen(
            [*COMMAND, "dev", "--state", str(folder / "s")], cwd=ROOT, env=ENVIRONMENT, stdout=said, stderr=said
        )
    try:
        until = time.monotonic() + SECONDS_MAX
        while "Ctrl-C ends it" not in log.read_text():
            assert dev.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield Terminal(log.read_text())
    finally:
        dev.terminate()
        dev.wait(30)


def test_everything_is_there(terminal: Terminal) -> None:
    """A line to start each, and no service is missing."""
    assert all(terminal.start_line(name)[:2] == ["start", name] for name in PIECES)
    assert "not here" not in terminal.said


@pytest.mark.parametrize("name", ["order", "customer-onboarding"])
def test_a_process_runs_as_it_is_printed(terminal: Terminal, name: str) -> None:
    """The line is typed as it stands."""
    assert terminal.saga(*terminal.start_line(name))["status"] == "completed"


def test_a_person_decides_as_it_is_printed(terminal: Terminal) -> None:
    """Whoever is named may, with the commands that are named."""
    line = [word for word in terminal.start_line("hr-onboarding") if word != "--wait"]
    saga = terminal.saga(*line)["saga"]
    until = time.monotonic() + SECONDS_MAX
    while not (asked := terminal.saga("approvals", "list", "--root", saga, "-o", "json")):
        assert time.monotonic() < until, "nobody is asked"
    request = asked[0]
    assert re.search(r"who decides +eve \([^)]*it-security", terminal.said)
    decide = ["approvals", "approve", request["saga"], request["path"], "--digest", request["digest"]]
    assert terminal.saga(*decide, "--actor", "eve", "-o", "json")["state"] == "approved"
    ended = terminal.saga(*line, "--wait")
    assert (ended["saga"], ended["status"]) == (saga, "completed")
