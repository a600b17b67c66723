"""Log lines: text for a terminal, JSON for a collector. Fields travel as `extra`. Repeated lines are counted."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

CLIENTS = ("aiormq", "aio_pika")
ALIKE_MAX = 5
"""Lines with the same words that are written within a window; the rest of them is only counted."""
WINDOW_SECONDS = 10.0
KINDS_MAX = 1_000


def configure(level: str, form: str) -> None:
    """Send every log of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(Sparing())
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


class Sparing(logging.Filter):
    """Lets through a few lines of a kind in each window; the next one says how many were left out.

    A kind is the logger and the words before the fields are filled in. An outage writes some lines, not a disk full.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it. Time is the record's own."""
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


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """A field cannot pose as the line's own time or level."""
        line: dict[str, object] = {
            **_fields(record),
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Time, level, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever a peer wrote into a field: a line break in it is shown as one."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{name}={_one_line(value)}" for name, value in _fields(record).items())
        line = f"{at} {record.levelname.lower():7} {_one_line(record.getMessage())} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
