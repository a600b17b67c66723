"""What `saga serve` refuses before it waits for anything."""

import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Type

OWN = """
from msgspec import Struct
from saga import Command, Effect, Participant, command

class Done(Struct, frozen=True): pass
@command(service="tiny", effect=Effect.INBOX)
class Do(Command[Done], frozen=True): id: str
async def do(cmd, ctx): return Done()
class Own:
    dialect = "sqlite"
    def begin(self): ...
tiny = Participant("tiny", handlers=[Do.handled_by(do)], database=Own())
"""


def test_tables_that_cannot_be_made_are_not_promised(
    saga: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that the participant brings has no migrations of ours: the flag would do nothing."""
    (tmp_path / "brings_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SAGA_AMQP", "nowhere://so-that-it-ends")
    done = saga("serve", "brings_own:tiny", "--migrate")
    assert (done.code, "SAGA-1001" in done.err, "saga inbox sql" in done.err) == (2, True, True), done
    assert "SAGA-1004" in saga("serve", "brings_own:tiny").err
    del sys.modules["brings_own"]
