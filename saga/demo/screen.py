"""The terminal: lines that stay, and below them, on a real terminal only, a few that change in place."""

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from saga.demo.timeline import PLAIN_MARKS, Entry, Lane, Mark

COLOURS = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "undo": "33", "title": "1;36"}
WIDTH_DEFAULT = 100
RULE = "─"


class Screen:
    """Writes to one stream. Colour and live lines only where they are welcome; marks only where they can be shown."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._live = stream.isatty() and environment.get("TERM") != "dumb"
        self._coloured = self._live and not environment.get("NO_COLOR")
        self._footer: list[str] = []
        self._plain_marks = not _can_show(stream, "".join(Mark) + RULE + "…")

    def say(self, text: str = "", style: str = "") -> None:
        """A line that stays."""
        self._wipe()
        self._write(text, style)
        self._draw()

    def entry(self, entry: Entry, line: str) -> None:
        """A line of a timeline."""
        self.say(line, _style(entry))

    def below(self, lines: Sequence[str]) -> None:
        """Put these below everything, in place of those before; nothing is shown off a terminal."""
        self._wipe()
        self._footer = list(lines)
        self._draw()

    def settle(self) -> None:
        """What is below stays, and is shown off a terminal too."""
        self._wipe()
        footer, self._footer = self._footer, []
        for line in footer:
            self._write(line, "bold")

    def _wipe(self) -> None:
        if self._live and self._footer:
            self._stream.write(f"\x1b[{len(self._footer)}A\x1b[0J")

    def _draw(self) -> None:
        if self._live:
            for line in self._footer:
                self._write(line, "bold", cut=True)
        self._stream.flush()

    def _write(self, text: str, style: str, *, cut: bool = False) -> None:
        if self._plain_marks:
            text = _spelled_out(text)
        if self._live and cut:
            text = text[: shutil.get_terminal_size((WIDTH_DEFAULT, 24)).columns - 1]  # a line that wraps is two
        code = COLOURS.get(style)
        self._stream.write(f"\x1b[{code}m{text}\x1b[0m\n" if code and self._coloured and text else f"{text}\n")


def _style(entry: Entry) -> str:
    if entry.mark in {Mark.FAILED, Mark.PARKED}:
        return "bad"
    if entry.lane is Lane.UNDO or entry.mark is Mark.TURNED:
        return "undo"
    if entry.lane is Lane.SAGA and entry.mark is Mark.BEGUN:
        return "bold"
    return "good" if entry.mark is Mark.DONE else ""


def _can_show(stream: TextIO, marks: str) -> bool:
    try:
        marks.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _spelled_out(text: str) -> str:
    for mark, plain in PLAIN_MARKS.items():
        text = text.replace(mark, plain)
    return re.sub(r"[^\x00-\x7f]", lambda found: {"─": "-", "…": "~"}.get(found[0], "?"), text)
