"""Log lines: one each, honest about themselves, and few of a kind."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from saga.cli import logs
from saga.cli.logs import (
    ALIKE_MAX,
    FIELD_CHARACTERS_MAX,
    KINDS_MAX,
    WINDOW_SECONDS,
    Form,
    JsonLines,
    Sparing,
    TextLines,
    When,
)

SECRET = "hunter2-4111"


def record(
    text: str = "cannot read", /, *, at: float = 0.0, logger: str = "saga.engine", **fields: object
) -> logging.LogRecord:
    made = logging.LogRecord(logger, logging.WARNING, __file__, 1, text, None, None)
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


def failed(logger: str = "saga.participant") -> logging.LogRecord:
    """A record with the error of a handler, which has a cause."""
    made = record("a handler failed\nfuture: <hunter2-4111>", logger=logger, text=f"no {SECRET}")
    try:
        try:
            dict[str, str]()[SECRET]
        except KeyError as cause:
            raise ValueError(f"why {SECRET}") from cause
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_an_exception_follows_its_line() -> None:
    """With its traceback, and with the words of others where they are let in."""
    assert f"ValueError: why {SECRET}" in TextLines(texts=True).format(failed())
    line = json.loads(JsonLines(texts=True).format(failed()))
    assert f"ValueError: why {SECRET}" in line["error"]
    assert line["text"] == f"no {SECRET}"


@pytest.mark.parametrize("logger", ["saga.participant", "asyncio", "aiormq.connection"])
def test_the_words_of_others_stay_out(logger: str) -> None:
    """An error is its kind and where it was raised, its cause too."""
    for line in (TextLines().format(failed(logger)), JsonLines().format(failed(logger))):
        assert SECRET not in line
        assert "a handler failed" in line
        assert line.index("builtins.KeyError") < line.index("builtins.ValueError")
        assert "test_logs.py" in line


def test_what_a_handler_logs_is_written_as_it_is() -> None:
    """It is the service's own."""
    line = json.loads(JsonLines().format(failed("shop.pay")))
    assert (line["text"], SECRET in line["error"]) == (f"no {SECRET}", True)
    sparing = Sparing()
    assert all(sparing.filter(record(logger="shop.pay")) for _ in range(ALIKE_MAX * 3))


def test_a_line_has_a_bound() -> None:
    """Whatever is put into it."""
    long = "x" * FIELD_CHARACTERS_MAX * 3
    made = record(long, detail=long, keys=[long], count=3, parts=["a", "b"])
    line = json.loads(JsonLines().format(made))
    assert {len(line[name]) for name in ("message", "detail", "keys")} == {FIELD_CHARACTERS_MAX}
    assert (line["count"], line["parts"]) == (3, ["a", "b"])


def test_ids_of_spans_are_for_programs() -> None:
    """A line for people has the saga, its step and the attempt."""
    made = record(trace_id="1" * 32, span_id="2" * 16, saga_id="s", step="charge", attempt=2)
    assert TextLines().format(made).endswith("cannot read saga_id=s step=charge attempt=2")
    assert json.loads(JsonLines().format(made))["trace_id"] == "1" * 32


class Terminal(io.StringIO):
    """Where a person sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def _root() -> Iterator[None]:
    """The logging of the tests, as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize(
    ("stream", "form", "texts", "development", "expected"),
    [
        (Terminal, "auto", "auto", False, (False, True)),
        (Terminal, "json", "never", False, (True, False)),
        (io.StringIO, "auto", "auto", False, (True, False)),
        (io.StringIO, "auto", "auto", True, (True, True)),
        (io.StringIO, "text", "always", False, (False, True)),
        (io.StringIO, "auto", "never", True, (True, False)),
    ],
)
def test_left_to_itself_it_goes_by_who_reads(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    form: Form,
    texts: When,
    development: bool,
    expected: tuple[bool, bool],
) -> None:
    """Text and the words of others on a terminal, JSON without them elsewhere; `saga dev` keeps the words."""
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("info", form, texts, development=development)
    logging.getLogger("saga.engine").warning("message parked", extra={"code": "nul", "text": SECRET})
    assert (written.getvalue().startswith("{"), SECRET in written.getvalue()) == expected
