"""Completion: what the shell gets, what the store adds, and silence when it cannot."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from saga.adapters.sqlite.store import SqliteStore
from saga.cli import known
from saga.cli.main import COMMANDS, cli
from saga.ports import SagaFilter, SagaRow
from tests.unit.cli.conftest import Type

ROOT = Path(__file__).parents[3]
PATIENT_SECONDS = 30.0
Complete = Callable[..., list[str]]


@pytest.fixture
def complete(saga: Type, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What is offered for the last of these words, on a machine that is never too slow."""
    monkeypatch.setattr(known, "STORE_SECONDS_MAX", PATIENT_SECONDS)

    def completed(*words: str) -> list[str]:
        offered = ShellComplete(cli, {}, "saga", "_SAGA_COMPLETE").get_completions(list(words[:-1]), words[-1])
        return [item.value for item in offered]

    return completed


def as_a_shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As bash asks, in a process of its own."""
    words = line.split(" ")
    asked = {"_SAGA_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    given = {**os.environ, "PYTHONPATH": str(ROOT), **asked, **env}
    command = [sys.executable, "-m", "saga.cli"]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(saga: Type, shell: str) -> None:
    """For each shell; others are refused."""
    done = saga("completion", shell)
    assert done.code == 0
    assert f"_SAGA_COMPLETE={shell}_complete" in done.out
    assert saga("completion", "tcsh").code == 2


def test_bash_takes_the_script(saga: Type, tmp_path: Path) -> None:
    """It is loaded without a word, and there is a completion for `saga` afterwards."""
    script = tmp_path / "saga.bash"
    script.write_text(saga("completion", "bash").out)
    bash = shutil.which("bash")
    assert bash is not None
    loaded = subprocess.run(
        [bash, "--norc", "-c", f"source {script} && complete -p saga"], capture_output=True, text=True, check=True
    )
    assert "saga" in loaded.stdout
    assert loaded.stderr == ""


def test_commands_and_options(complete: Complete) -> None:
    """Of the root without importing any, of groups and commands."""
    assert complete("") == list(COMMANDS)
    assert complete("pa") == ["pause", "parked"]
    assert complete("parked", "re") == ["redrive"]
    assert complete("list", "--st") == ["--status"]
    assert complete("watch", "-o", "") == ["table", "jsonl"]


def test_names_ids_and_keys(complete: Complete, started: str) -> None:
    """Of what is in the store."""
    assert complete("show", "") == ["order/", "pivotal/", started]
    assert complete("watch", "order/") == ["order/o1"]
    assert complete("cancel", started[:12]) == [started]
    assert complete("history", "ffff") == []
    assert complete("start", "pi") == ["pivotal"]
    assert complete("list", "--name", "o") == ["order"]


def test_the_store_of_the_words_typed_so_far(complete: Complete, started: str, store: str, tmp_path: Path) -> None:
    """A flag before the command counts, as it would when run."""
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    assert complete("--store", elsewhere, "show", "") == []
    assert not (tmp_path / "elsewhere.sqlite").exists()
    assert complete("--store", store, "show", "o") == ["order/"]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("typed", ["'", "no such/", "%", "order/'; drop table sagas; --", "ÿ\x00"])
def test_whatever_is_typed_is_data(complete: Complete, typed: str) -> None:
    """Nothing fits it, and nothing breaks."""
    assert complete("show", typed) == []


@pytest.mark.usefixtures("started")
def test_a_store_that_does_not_answer_is_not_waited_for(complete: Complete, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell gets what there is."""

    async def never(_store: SqliteStore, _where: SagaFilter) -> list[SagaRow]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    monkeypatch.setattr(known, "STORE_SECONDS_MAX", 0.05)
    monkeypatch.setattr(SqliteStore, "sagas", never)
    assert complete("show", "") == []


@pytest.mark.parametrize(
    "env",
    [
        {"SAGA_STORE": "postgres://nobody@127.0.0.1:1/none"},
        {"SAGA_STORE": "nonsense"},
        {"SAGA_STORE": "sqlite:////no/such/folder/x"},
        {"SAGA_PROFILE": "missing"},
    ],
)
def test_what_goes_wrong_is_not_the_shell_s_business(env: dict[str, str]) -> None:
    """No word on either stream, and no failure."""
    done = as_a_shell("saga show ", **env)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_as_bash_asks() -> None:
    """The whole way, as a process."""
    done = as_a_shell("saga topo")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["plain,topology"], "")
