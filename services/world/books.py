"""Append-only books of the outside world: one JSON object a line, no unique keys, read by auditors."""

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(enc_hook=str)


class Books:
    """Lines in a file. A line is there when `write` has returned, whatever is then done to the process.

    A line goes out in one system call, so that a kill leaves it whole or absent; it is not flushed to the disk, so
    a power cut may lose it. Safe to use from several threads of one process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.ftruncate(self._file, _whole_bytes(path))  # the next line must not grow out of one that was cut short
        self._lock = threading.Lock()
        self._sequence = itertools.count(sum(1 for _ in read(path)) + 1)

    def write(self, kind: str, **fields: object) -> dict[str, Any]:
        """Append a line and return it. Raises OSError when it cannot be written whole."""
        with self._lock:
            line = {"kind": kind, "at_ns": time.time_ns(), "sequence": next(self._sequence), **fields}
            data = _ENCODER.encode(line) + b"\n"
            if os.write(self._file, data) != len(data):
                raise OSError(f"{self._path}: a line was cut short; is the disk full?")
            return line

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What was written so far, by this and by earlier processes."""
        return read(self._path, kind)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The whole lines of books, in the order written; none when there is no such file."""
    if not path.exists():
        return []
    whole = path.read_bytes()[: _whole_bytes(path)]
    lines: list[dict[str, Any]] = [msgspec.json.decode(line) for line in whole.splitlines()]
    return [line for line in lines if kind is None or line["kind"] == kind]


def _whole_bytes(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1
