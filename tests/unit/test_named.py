"""What MODULE:OBJECT may turn out to be, and what is said about it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga.core.errors import DefinitionError
from saga.named import WrongName, definitions_in, load_object, participant_in

MODULE = """
from msgspec import Struct
from saga import Command, Effect, Participant, Saga, command, define, no_undo

class Done(Struct, frozen=True): pass
class Thing(Struct, frozen=True): id: str
@command(service="tiny", effect=Effect.INBOX)
class Do(Command[Done], frozen=True): id: str
async def do(cmd, ctx): return Done()
tiny = Participant("tiny", handlers=[Do.handled_by(do)])
def made(): return tiny
def greedy(settings): return tiny
def other(): return 7

@define("thing", version=1)
def thing(s: Saga, thing: Thing) -> None:
    s.step("do", Do(id=thing.id), undo=no_undo("it is harmless"))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; modules imported from it are forgotten."""
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(folder: Path, text: str = MODULE) -> None:
    (folder / "named_tiny.py").write_text(text)


def test_a_participant_is_named_or_made(here: Path) -> None:
    """By an object, or by a function without arguments."""
    write(here)
    assert participant_in("named_tiny:tiny") is participant_in("named_tiny:made")


def test_definitions_of_a_module(here: Path) -> None:
    """All of them, or the one that is named."""
    write(here)
    assert [each.name for each in definitions_in("named_tiny")] == ["thing"]
    assert [each.name for each in definitions_in("named_tiny:thing")] == ["thing"]


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("named_tiny", "SAGA-1008", "Fix: named_tiny:tiny"),
        ("named_tiny.py", "SAGA-1008", "'named_tiny.py' is a file, not a module. Fix: named_tiny"),
        ("named-tiny:tiny", "SAGA-1008", "is no name of a module"),
        ("nowhere:tiny", "SAGA-1008", "Fix: run it from the folder that holds nowhere"),
        ("named_tiny:tinyy", "SAGA-1008", "has no 'tinyy'. Fix: named_tiny:tiny"),
        ("named_tiny:thing", "SAGA-1010", "is the definition thing v1, not a participant. Fix: saga dev --definitions"),
        ("named_tiny:Do", "SAGA-1010", "is a class, not a participant. Fix: named_tiny:tiny"),
        ("named_tiny:greedy", "SAGA-2004", "settings"),
        ("named_tiny:other", "SAGA-2004", "a int is not a Participant"),
    ],
)
def test_no_participant(here: Path, spec: str, code: str, said: str) -> None:
    """What it is instead, and what could have been meant."""
    write(here)
    with pytest.raises(WrongName) as caught:
        participant_in(spec)
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("named_tiny:tiny", "SAGA-1010", "is a participant, not a definition. Fix: saga serve named_tiny:tiny"),
        ("named_tiny:Do", "SAGA-1010", "is a class, not a definition"),
        ("json", "SAGA-2006", "holds no definition"),
    ],
)
def test_no_definition(here: Path, spec: str, code: str, said: str) -> None:
    """What it is instead."""
    write(here)
    with pytest.raises(WrongName) as caught:
        definitions_in(spec)
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("import no_such_library_at_all", "SAGA-1009", 1),
        ("class Room(", "SAGA-1009", 1),
        ("x = 1\ny = x / 0", "SAGA-1009", 2),
        (MODULE.replace('Participant("tiny"', 'Participant("tinny"'), "SAGA-2004", 10),
    ],
)
def test_a_module_that_fails_is_told_with_its_own_line(here: Path, text: str, code: str, line: int) -> None:
    """Not with a line of ours, nor with a traceback."""
    write(here, text)
    with pytest.raises(WrongName) as caught:
        load_object("named_tiny:tiny")
    assert caught.value.code == code
    assert f"{here / 'named_tiny.py'}, line {line})" in str(caught.value)


def test_a_definition_that_cannot_be_built_keeps_its_problems(here: Path) -> None:
    """And says on which line it stands."""
    write(here, MODULE.replace(', undo=no_undo("it is harmless")', ""))
    with pytest.raises(DefinitionError) as caught:
        definitions_in("named_tiny")
    assert caught.value.code == "SAGA-2104"
    assert [problem.place for problem in caught.value.problems] == ["do"]
    assert caught.value.__notes__ == [f"at {here / 'named_tiny.py'}, line 15"]


@pytest.mark.parametrize("line", ["with s.when(thing is None):", 'with s.each("all", ["a"], limit=2):'])
def test_what_opens_a_block_wrongly_is_told_with_its_own_line(here: Path, line: str) -> None:
    """A block is opened by a library of Python, which is nobody's own."""
    write(here, MODULE.replace("    s.step(", f"    {line}\n        s.step("))
    with pytest.raises(DefinitionError) as caught:
        definitions_in("named_tiny")
    assert caught.value.__notes__[-1] == f"at {here / 'named_tiny.py'}, line 17"


def test_a_library_is_named_only_where_there_is_nobody_else(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author's line leads into it; but definitions may be installed, too."""
    library = here / "site-packages"
    library.mkdir()
    (library / "named_library.py").write_text("def half(): return 1 / 0\nif __name__ == 'named_library': half()\n")
    monkeypatch.syspath_prepend(str(library))
    write(here, "import named_library")
    with pytest.raises(WrongName, match="ZeroDivisionError") as caught:
        load_object("named_tiny:tiny")
    assert f"{here / 'named_tiny.py'}, line 1)" in str(caught.value)
    with pytest.raises(WrongName) as caught:
        load_object("named_library:half")
    assert f"{library / 'named_library.py'}, line 1)" in str(caught.value)
