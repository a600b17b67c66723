"""Publishing: all that was asked for, or nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Type

MODULE = """
from msgspec import Struct
from saga import Command, Effect, Saga, command, define, no_undo

class Done(Struct, frozen=True): pass
class Thing(Struct, frozen=True): id: str
@command(service="tiny", effect=Effect.INBOX)
class Do(Command[Done], frozen=True): id: str
"""
DEFINITION = """
@define("{name}", version={version})
def {attribute}(s: Saga, thing: Thing) -> None:
    s.step("{step}", Do(id=thing.id), undo=no_undo("it is harmless"))
"""


@pytest.fixture
def folder(saga: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where modules are written; a migrated store. What is imported is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    assert saga("db", "migrate").code == 0
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


def write(folder: Path, module: str, *definitions: tuple[str, int, str]) -> None:
    """A module with definitions: their names, versions and steps."""
    parts = [
        DEFINITION.format(name=name, version=version, attribute=f"d{at}", step=step)
        for at, (name, version, step) in enumerate(definitions)
    ]
    (folder / f"{module}.py").write_text(MODULE + "".join(parts))


def published(saga: Type) -> list[tuple[str, int]]:
    """What the store holds."""
    return [(row["name"], row["version"]) for row in saga("definitions", "list", "-o", "json").json()]


def test_what_is_published_is_said(saga: Type, folder: Path) -> None:
    """Also when it was before, and one object with two names is published once."""
    write(folder, "two_names", ("one", 1, "do"))
    with (folder / "two_names.py").open("a") as module:
        module.write("\nagain = d0\n")
    for _ in range(2):
        done = saga("definitions", "publish", "two_names")
        assert (done.code, len(done.out.splitlines())) == (0, 1)
        assert done.out.startswith("published one v1 ")


def test_of_several_definitions_none_is_published_when_one_may_not_be(saga: Type, folder: Path) -> None:
    """A new version would be live although the command failed, and the next start would take it."""
    write(folder, "before", ("one", 1, "do"), ("two", 1, "do"))
    write(folder, "after", ("one", 2, "do"), ("two", 1, "changed"))
    assert saga("definitions", "publish", "before").code == 0
    done = saga("definitions", "publish", "after")
    assert (done.code, done.out) == (4, "")
    assert "SAGA-2003 two v1 is already published with another content" in done.err
    assert published(saga) == [("one", 1), ("two", 1)]


def test_a_module_that_cannot_be_read_keeps_the_others_back(saga: Type, folder: Path) -> None:
    """All are read before anything is stored."""
    write(folder, "readable", ("one", 1, "do"))
    assert saga("definitions", "publish", "readable", "nowhere").code == 2
    assert published(saga) == []


def test_two_definitions_of_one_version_are_told_apart_from_a_published_one(saga: Type, folder: Path) -> None:
    """Nothing is in the store yet: the fix is in the module, and no folder is to be removed."""
    write(folder, "twice", ("one", 1, "do"), ("one", 1, "other"))
    for command in (["definitions", "publish", "twice"], ["dev", "--definitions", "twice"]):
        done = saga(*command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("SAGA-2106 one v1 is given twice")
        assert "rm -r" not in done.err
    assert published(saga) == []
