"""The command line as a user types it, over a store in a file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.cli.main import main


class Typed(msgspec.Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, decoded."""
        return msgspec.json.decode(self.out)


Type = Callable[..., Typed]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The url of a store that is not there yet."""
    return f"sqlite:///{tmp_path / 'saga.sqlite'}"


@pytest.fixture
def saga(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Type:
    """`saga(...)` runs a command against the store, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGA_STORE", store)

    def typed(*arguments: str) -> Typed:
        monkeypatch.setattr(sys, "argv", ["saga", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code
        captured = capfd.readouterr()
        return Typed(code if isinstance(code, int) else 0, captured.out, captured.err)

    return typed
