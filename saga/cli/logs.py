"""Log lines: text for a person at a terminal, JSON for a collector. Fields travel as `extra`.

What others wrote into a message or an error, people and services, is in the field `text` and in the messages of
exceptions, nowhere else in our lines: one setting lets both in. What a handler logs itself is written as it is.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

CLIENTS = ("aiormq", "aio_pika")
TEXT: Final = "text"
"""The field with the words of others."""
IDS_OF_SPANS: Final = ("trace_id", "span_id")
"""For programs: a person at a terminal goes by the saga."""
ALIKE_MAX = 5
"""Lines of ours with the same words that are written within a window; the rest of them is only counted."""
WINDOW_SECONDS = 10.0
KINDS_MAX = 1_000
FIELD_CHARACTERS_MAX: Final = 8_192
"""Of a message, a field and a traceback; the end of a traceback is kept."""
CAUSES_MAX: Final = 8

When = Literal["auto", "always", "never"]
Form = Literal["auto", "text", "json"]


def configure(
    level: str, form: Form, texts: When, *, development: bool = False, fields: Iterable[logging.Filter] = ()
) -> None:
    """Send every log of this process to stderr. `fields` add to records what they belong to.

    Left to itself it writes text on a terminal and JSON elsewhere, and the words of others on a terminal and in
    development.
    """
    terminal = sys.stderr.isatty()
    open_to_all = texts == "always" or (texts == "auto" and (terminal or development))
    as_text = form == "text" or (form == "auto" and terminal)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines(texts=open_to_all) if as_text else JsonLines(texts=open_to_all))
    for each in (Sparing(), *fields):
        handler.addFilter(each)
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def only_ours() -> None:
    """A command that fails says so once, in our words: what the broker's client logs on the way is noise."""
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def silence() -> Iterator[None]:
    """For a command whose findings say what log lines would."""
    logger = logging.getLogger("saga")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def is_ours(record: logging.LogRecord) -> bool:
    """Whether the engine wrote it, or the libraries below it; not a handler."""
    return record.name.partition(".")[0] in {"saga", "asyncio", *CLIENTS}


class Sparing(logging.Filter):
    """Lets through a few lines of a kind in each window; the next one says how many were left out.

    A kind is the logger and the words before the fields are filled in. An outage writes some lines, not a disk full.
    Lines of handlers are theirs: each is written.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it. Time is the record's own."""
        if not is_ours(record):
            return True
        kind = (record.name, str(record.msg))
        begun, count = self._windows.get(kind, (record.created, 0))
        if record.created - begun >= WINDOW_SECONDS:
            if count > ALIKE_MAX:
                record.left_out = count - ALIKE_MAX
            begun, count = record.created, 0
        if kind not in self._windows and len(self._windows) >= KINDS_MAX:
            self._windows.clear()
        self._windows[kind] = (begun, count + 1)
        return count < ALIKE_MAX


class _Lines(logging.Formatter):
    """What both forms have in common: which words are written, and how many."""

    def __init__(self, *, texts: bool = False) -> None:
        super().__init__()
        self._texts = texts

    def told(self, record: logging.LogRecord) -> str:
        """The message. Where a library fills an error into it, only its first line is sure to be its own words."""
        message = record.getMessage()
        if not self._texts and is_ours(record) and record.exc_info:
            message = message.partition("\n")[0]
        return message[:FIELD_CHARACTERS_MAX]

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """What stands beside the message."""
        found = {name: _bounded(value) for name, value in vars(record).items() if name not in _PLAIN}
        if not self._texts and is_ours(record):
            found.pop(TEXT, None)
        return found

    def failure(self, record: logging.LogRecord) -> str:
        """The traceback of its error, if it has one."""
        if not record.exc_info:
            return ""
        if self._texts or not is_ours(record) or record.exc_info[1] is None:
            return self.formatException(record.exc_info)[-FIELD_CHARACTERS_MAX:]
        return "\n".join(_without_messages(record.exc_info[1]))[-FIELD_CHARACTERS_MAX:]


class JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """A field cannot pose as the line's own time or level."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.told(record),
        }
        line = line | self.fields(record) | line
        if error := self.failure(record):
            line["error"] = error
        return json.dumps(line, default=str)


class TextLines(_Lines):
    """Time, level, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever a peer wrote into a field: a line break in it is shown as one."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        shown = ((name, value) for name, value in self.fields(record).items() if name not in IDS_OF_SPANS)
        fields = " ".join(f"{name}={_one_line(value)}" for name, value in shown)
        line = f"{at} {record.levelname.lower():7} {_one_line(self.told(record))} {fields}".rstrip()
        error = self.failure(record)
        return f"{line}\n{error}" if error else line


def _bounded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:FIELD_CHARACTERS_MAX]
    text = json.dumps(value, default=str)
    return value if len(text) <= FIELD_CHARACTERS_MAX else text[:FIELD_CHARACTERS_MAX]


def _without_messages(error: BaseException) -> Iterator[str]:
    """The kinds of errors and where they were raised, the first cause first: their messages may hold anything."""
    chain: list[BaseException] = [error]
    while len(chain) < CAUSES_MAX:
        last = chain[-1]
        before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if before is None or before in chain:
            break
        chain.append(before)
    for each in reversed(chain):
        yield "".join(traceback.format_tb(each.__traceback__)).rstrip()
        yield f"{type(each).__module__}.{type(each).__qualname__}"


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
