"""How an error is told: to people, to programs, and with which exit code."""

import os
import pty
import subprocess
import sys

import click
import msgspec
import pytest

from saga.cli.failure import CommandFailed, as_text, told, wants_json
from saga.client import Refused
from saga.core.errors import DefinitionConflict, DefinitionError, Problem, ProtocolViolation, StoreAway, Unavailable
from tests.unit.cli.conftest import Type


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (CommandFailed("SAGA-3004", "there is no parked message 7"), "SAGA-3004", 3),
        (Unavailable("the broker is away"), "SAGA-4001", 6),
        (StoreAway("the store is away"), "SAGA-4002", 6),
        (Unavailable("no right", code="SAGA-4009"), "SAGA-4009", 5),
        (DefinitionConflict("order", 1, "a" * 64, "b" * 64), "SAGA-2003", 4),
        (Refused("key-reused", "with another input"), "SAGA-5017", 4),
        (Refused("unknown-definition", "no definition"), "SAGA-5012", 3),
        (Refused("a word of a later engine", "whatever"), "SAGA-1000", 1),
        (ProtocolViolation("not-json", "at byte 0"), "SAGA-5001", 4),
        (click.UsageError("no such option"), "SAGA-1001", 2),
        (click.ClickException("of a library"), "SAGA-1000", 1),
        (ZeroDivisionError("ours"), "SAGA-9001", 1),
    ],
)
def test_every_error_has_a_code_and_an_exit_code(error: Exception, code: str, exit_code: int) -> None:
    """Also one that nobody thought of."""
    found = told(error)
    assert (found.code, found.exit_code) == (code, exit_code)
    assert found.page == f"docs/reference/errors/{code}.md"


def test_the_error_knows_the_fix_better_than_the_catalogue() -> None:
    """What stands behind `Fix:` is said; without it, what the catalogue says."""
    assert told(CommandFailed("SAGA-3001", "no saga x. Fix: saga list --name x")).fix == "saga list --name x"
    assert "saga list" in told(CommandFailed("SAGA-3001", "no saga x")).fix
    assert told(CommandFailed("SAGA-3001", "no saga x. Fix: saga list")).message == "no saga x"


def test_text_is_four_lines() -> None:
    """Code, place and reason; why; fix; page. Colour only where it is asked for."""
    text = as_text(told(CommandFailed("SAGA-3001", "no saga x")), coloured=False)
    first, *rest = text.splitlines()
    assert first == "SAGA-3001 no saga x"
    assert [line.split(":")[0].strip() for line in rest] == ["why", "fix", "page"]
    assert "\033" not in text
    assert "\033[" in as_text(told(CommandFailed("SAGA-3001", "no saga x")), coloured=True)


def test_problems_of_a_definition_are_listed() -> None:
    """In words and as data; one code for all of them where they agree on one."""
    bare = Problem("charge", "has no undo", "undo=...", code="SAGA-2104")
    found = told(DefinitionError("order v1", (bare,)))
    assert found.code == "SAGA-2104"
    assert found.problems == [{"place": "charge", "reason": "has no undo", "fix": "undo=..."}]
    both = DefinitionError("order v1", (bare, Problem("ship", "is odd", "mend it")))
    assert told(both).code == "SAGA-2001"


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("list -o json", True),
        ("list --output jsonl", True),
        ("list -ojson", True),
        ("list --output=json", True),
        ("list -o table", False),
        ("list --name json", False),
        ("", False),
    ],
)
def test_json_is_told_where_json_was_asked_for(typed: str, wanted: bool) -> None:
    """However the option is spelled."""
    assert wants_json(typed.split()) is wanted


def test_an_error_in_json_is_one_object(saga: Type) -> None:
    """On stderr, with stdout left empty; also for a line that cannot be understood."""
    done = saga("--store", "mysql://h/d", "list", "-o", "json")
    found = msgspec.json.decode(done.err)
    assert done.out == ""
    assert (found["code"], found["exit_code"]) == ("SAGA-1004", done.code)
    assert {"message", "why", "fix", "page"} <= found.keys()
    assert msgspec.json.decode(saga("list", "--limit", "0", "-o", "json").err)["code"] == "SAGA-1001"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_a_terminal_that_wants_it(no_color: str, coloured: bool) -> None:
    """A real process on a pseudo-terminal; NO_COLOR is obeyed. Pipes never get any."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "saga.cli", "errors", "SAGA-0000"]
    try:
        done = subprocess.run(command, env={**os.environ, "NO_COLOR": no_color}, stderr=theirs, timeout=60, check=False)
        said = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 3
    assert "SAGA-3006" in said
    assert ("\033[" in said) is coloured
