"""Log lines: one each, honest about themselves, and few of a kind."""

import json
import logging

import pytest

from saga.cli.logs import ALIKE_MAX, KINDS_MAX, WINDOW_SECONDS, JsonLines, Sparing, TextLines


def record(text: str = "cannot read", *, at: float = 0.0, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("saga.engine", logging.WARNING, __file__, 1, text, None, None)
    made.created = at
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_an_outage_writes_a_few_lines() -> None:
    """A thousand alike in a window are five; the first of the next window says how many were left out."""
    sparing = Sparing()
    written = [sparing.filter(record(at=number / 1_000)) for number in range(1_000)]
    assert written.count(True) == ALIKE_MAX
    late = record(at=WINDOW_SECONDS)
    assert sparing.filter(late)
    assert vars(late)["left_out"] == 1_000 - ALIKE_MAX
    assert "left_out=995" in TextLines().format(late)


def test_others_are_written_meanwhile() -> None:
    """Another text, or another logger, is another kind."""
    sparing = Sparing()
    for number in range(100):
        sparing.filter(record(at=number / 1_000))
    assert sparing.filter(record("something else", at=0.2))


def test_a_quiet_window_forgets() -> None:
    """A line now and then is always written, and says nothing of being left out."""
    sparing = Sparing()
    for number in range(20):
        once = record(at=number * WINDOW_SECONDS)
        assert sparing.filter(once)
        assert not hasattr(once, "left_out")


def test_kinds_are_bounded() -> None:
    """Texts made of data cannot fill the memory."""
    sparing = Sparing()
    for number in range(KINDS_MAX * 3):
        sparing.filter(record(f"text {number}"))
    assert len(sparing._windows) <= KINDS_MAX


@pytest.mark.parametrize("value", ["two\nlines", "a\rb", "\x1b[31mred", "nul\0"])
def test_a_field_cannot_forge_a_line(value: str) -> None:
    """What a peer wrote stays in its line, in both forms."""
    text = TextLines().format(record(detail=value))
    assert text.isprintable()
    line = json.loads(JsonLines().format(record(detail=value, level="forged", at=5.0)))
    assert line["detail"] == value
    assert line["level"] == "warning"
    assert line["at"].startswith("1970-01-01T00:00:05")


def test_an_exception_follows_its_line() -> None:
    """With its traceback."""
    failed = record()
    failed.exc_info = (ValueError, ValueError("why"), None)
    assert "ValueError: why" in TextLines().format(failed)
    assert "ValueError: why" in json.loads(JsonLines().format(failed))["error"]
