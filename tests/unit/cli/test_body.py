"""What is given as JSON: the fix is that of the mistake."""

from pathlib import Path

import pytest

from saga.cli.body import json_body
from saga.cli.failure import CommandFailed
from saga.wire import BODY_BYTES_MAX

QUOTES = "single quotes"


@pytest.mark.parametrize(
    ("data", "reason", "fix"),
    [
        ("{id: t1}", "is no JSON", QUOTES),
        ('{"id": "\\u0000"}', "holds a NUL character", "leave the character out"),
        (f'"{"x" * BODY_BYTES_MAX}"', "bytes, at most", "reference"),
        ("[" * 200 + "]" * 200, "nests deeper", "fewer levels"),
    ],
)
def test_the_fix_is_that_of_the_mistake(data: str, reason: str, fix: str) -> None:
    """Quotes help against the shell, not against a body that is too large."""
    with pytest.raises(CommandFailed) as failed:
        json_body(data, "--edit")
    assert failed.value.code == "SAGA-1006"
    message, _, told = str(failed.value).partition(" Fix: ")
    assert message.startswith("--edit: ")
    assert reason in message
    assert fix in told
    assert (QUOTES in told) == (fix == QUOTES)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    """Is said to be one."""
    (tmp_path / "input.json").write_bytes('{"name": "ü"}'.encode("latin-1"))
    with pytest.raises(CommandFailed, match=r"--data: the body is no UTF-8 at byte 10. Fix: save it as UTF-8"):
        json_body(f"@{tmp_path}/input.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Its name is in the message."""
    with pytest.raises(CommandFailed, match=r"nowhere.json cannot be read: No such file"):
        json_body(f"@{tmp_path}/nowhere.json")
