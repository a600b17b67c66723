"""The README's commands and code, word for word."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.acceptance.pages import ROOT, blocks, commands, environment

SECONDS_MAX = 60
TRY, LOOK, START, REAL = blocks("README.md", "sh")


def typed(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a folder."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**environment(folder), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the `trip.py` that the README prints, and nothing else."""
    (code,) = blocks("README.md", "python")
    (tmp_path / "trip.py").write_text(code)
    return tmp_path


@pytest.fixture
def dev(folder: Path) -> Iterator[dict[str, str]]:
    """The `saga dev` of the README, running; gives what its `export` line sets."""
    (command,) = [line for line in commands(LOOK) if line.startswith("saga dev")]
    said = folder / "dev.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=folder, env=environment(folder), stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + SECONDS_MAX
        while "export " not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.05)
        (line,) = [line for line in said.read_text().splitlines() if "export " in line]
        yield dict(pair.split("=", 1) for pair in line.split()[1:])
    finally:
        process.terminate()
        process.wait(30)


def test_two_commands_need_nothing(tmp_path: Path) -> None:
    """`make demo` works in this checkout, and `make test` is what continuous integration runs."""
    demo, test = commands(TRY)
    assert (demo, test) == ("make demo", "make test")
    shown = subprocess.run(
        demo.split(),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in {"ARGS", "MAKEFLAGS"}},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 charge of 42.00" in shown.stdout
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()


def test_the_trip_can_be_explained(folder: Path) -> None:
    """The first command after the code says what is undone."""
    explain = commands(LOOK)[0]
    explained = typed(explain, folder)
    assert explained.returncode == 0, explained.stderr
    assert "If seat fails with SoldOut, undo room" in explained.stdout


def test_the_trip_runs_as_printed(folder: Path, dev: dict[str, str]) -> None:
    """One trip completes, the other is compensated with exit code 7, and both are listed."""
    rome, moon, listing = commands(START)
    completed = typed(rome, folder, **dev)
    assert completed.returncode == 0, completed.stderr
    assert msgspec.json.decode(completed.stdout)["output"] == {"room": 101, "seat": "7A"}
    compensated = typed(moon, folder, **dev)
    assert compensated.returncode == 7, compensated.stderr
    assert msgspec.json.decode(compensated.stdout)["status"] == "compensated"
    listed = typed(listing, folder, **dev)
    assert re.findall(r"completed|compensated", listed.stdout) == ["compensated", "completed"]


def test_commands_for_real_exist(folder: Path) -> None:
    """Each command of the production block is one, with those options; the deploy page runs them."""
    for command in commands(REAL):
        words = command.split()
        names = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word)]
        helped = typed(" ".join(["saga", *names, "--help"]), folder)
        assert helped.returncode == 0, helped.stderr
        assert all(word in helped.stdout for word in words if word.startswith("--")), command
