"""One catalogue of error codes: every error has a code from it, every code a page."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator

import saga
from saga.core.codes import CODES, code_of
from saga.core.errors import SagaError
from saga.core.events import ParkCode
from saga.core.messages import RefusedCode
from saga.wire import Poison
from tests.error_pages import EXITS, FOLDER, INDEX, ROOT, pages

NUMBER = re.compile(r"SAGA-\d{4}")
WORDED = {"ProtocolViolation", "Rejection", "Refusal", "Refused", "retry"}
"""Called with a word of the wire before the text."""
ELSEWHERE = {"busy", "engine-defect", "timeout", "too-late"}
"""Words that are written in another way."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "saga").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
                yield f"{path}:{node.lineno}", node


def test_numbers_and_words_are_given_once() -> None:
    """A code means one thing."""
    words = [code.word for code in CODES.values() if code.word]
    assert len(words) == len(set(words))
    assert all(number == code.number and NUMBER.fullmatch(number) for number, code in CODES.items())


def test_every_error_of_ours_has_a_code() -> None:
    """Each class names one of its own, or inherits one that is not the root's; `ProtocolViolation` and `Refused`
    are given a word."""
    for module in pkgutil.walk_packages(saga.__path__, "saga."):
        if not module.name.endswith("__main__") and ".demo.bundle" not in module.name:
            importlib.import_module(module.name)
    kinds = [SagaError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    uncoded = {kind.__name__ for kind in kinds if kind.code == SagaError.code}
    assert uncoded == {"SagaError", "CommandFailed", "ProtocolViolation", "Refused"}
    assert {kind.code for kind in kinds} <= CODES.keys()


def test_every_number_in_the_source_is_in_the_catalogue() -> None:
    """A raise cannot name a code that has no page; and no code is left over."""
    outside = [path for path in (ROOT / "saga").rglob("*.py") if path.parent.name != "codes"]
    used = {number for path in outside for number in NUMBER.findall(path.read_text())}
    assert used <= CODES.keys()
    numbered = {code.number for code in CODES.values() if not code.word}
    assert numbered - used == set(), "nothing raises these"


def test_every_word_is_in_the_catalogue() -> None:
    """Why messages, deliveries and steps are refused or parked, also where the word is written out."""
    words = {str(word) for kind in (Poison, RefusedCode, ParkCode) for word in kind}
    for _, call in calls(*WORDED):
        match call.args[:1]:
            case [ast.Constant(value=str(word))]:
                words.add(word)
            case _:
                pass
    assert {word for word in words if code_of(word) is None} == set()
    assert {code.word for code in CODES.values() if code.word} - words == ELSEWHERE


def test_commands_raise_no_uncoded_error() -> None:
    """Usage errors are click's and have one code; everything else a command raises names its own."""
    assert [where for where, _ in calls("ClickException", "SystemExit") if where.startswith("saga/cli/")] == []
    assert [where for where, call in calls("CommandFailed") if len(call.args) != 2] == []


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """Beside the list of all."""
    found = {path for path in FOLDER.glob("*") if path != INDEX}
    assert found == {ROOT / code.page for code in CODES.values()}


def test_the_pages_are_fresh() -> None:
    """Written again by `python -m tests.error_pages`; what stands outside their marks is kept."""
    stale = [path.name for path, text in pages().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "stale. Fix: python -m tests.error_pages"
    assert "| 124 |" in EXITS.read_text()
