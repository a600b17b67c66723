"""A page followed as its reader follows it: files are written, commands typed, and what is shown is compared.

```python, ```sql     whose first line names the file (`# a/b.py`, `-- a/b.sql`)
```sh                 typed as it stands; `saga dev`, `run` and `serve` get a terminal each, and stay
```text               what the block above shows: `…` is anything in a line, a line of it alone any lines;
                      how many spaces there are does not count
<!-- Ctrl-C -->       the terminals are ended
<!-- not run: why --> the next block is for the reader only
"""

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.acceptance.pages import ROOT, commands, environment

SECONDS_MAX = 60
LOOK_SECONDS = 0.2
PARTS = re.compile(r"^```(\w+)\n(.*?)^```$|^<!-- (.+?) -->$", re.MULTILINE | re.DOTALL)
STAYS = re.compile(r"(?:\w+=\S+ )*saga (?:dev|run|serve)\b")
LOOKS = re.compile(r"saga (?:show|list|history|parked list)\b")
"""A reader who looks too early looks again."""


def matches(shown: str, printed: str) -> bool:
    """Whether what a page prints is what was shown."""

    def pattern(line: str) -> str:
        line = " ".join(line.split())
        return r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + "\n"

    squeezed = "".join(" ".join(line.split()) + "\n" for line in shown.strip().splitlines())
    return re.fullmatch("".join(map(pattern, printed.strip().splitlines())), squeezed) is not None


class Terminal:
    """A process that stays, and what it has said."""

    def __init__(self, command: str, folder: Path, env: Mapping[str, str], said: Path) -> None:
        self._said = said
        setting, program = re.fullmatch(r"((?:\w+=\S+ )*)(.+)", command, re.DOTALL).groups()  # type: ignore[union-attr]  # matches anything
        exported = f"export {setting}; " if setting else ""
        with said.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f"{exported}exec {program}"],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def shown(self) -> str:
        return self._said.read_text()

    def wait_until(self, printed: str | None) -> None:
        """Until it shows what the page prints, or says that it is at work."""
        until = time.monotonic() + SECONDS_MAX
        while not (
            re.search(r" started\b| is ready,", self.shown) if printed is None else matches(self.shown, printed)
        ):
            assert self.process.poll() is None, self.shown
            assert time.monotonic() < until, self.shown
            time.sleep(LOOK_SECONDS)

    def end(self) -> None:
        """Ctrl-C; whoever was killed before is gone already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(SECONDS_MAX) == 0, self.shown


class Walkthrough:
    """Somebody who follows a page in an empty folder. Addresses it prints are replaced by those that exist here."""

    def __init__(self, folder: Path, addresses: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.skipped: list[str] = []
        """Blocks for the reader only."""
        self._addresses = addresses or {}
        self._env = environment(folder)
        self._terminals: list[Terminal] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in self._terminals:
            terminal.process.kill()
            terminal.process.wait()

    def follow(self, page: str) -> None:
        """All of it, in order. Raises AssertionError where it is not as printed."""
        parts = [found.groups() for found in PARTS.finditer((ROOT / page).read_text())]
        for place, (language, block, mark) in enumerate(parts):
            after = parts[place + 1][:2] if place + 1 < len(parts) else ("", "")
            printed = after[1] if after[0] == "text" else None
            if mark == "Ctrl-C":
                self.end()
            elif place and (parts[place - 1][2] or "").startswith("not run: "):
                self.skipped.append(block)
            elif language in {"python", "sql"}:
                self._write(block)
            elif language == "sh":
                self._type(self._real(block), printed)

    def end(self) -> None:
        """Ctrl-C in every terminal."""
        for terminal in self._terminals:
            terminal.end()
        self._terminals.clear()

    def _real(self, text: str) -> str:
        for printed, here in self._addresses.items():
            text = text.replace(printed, here)
        return text

    def _write(self, block: str) -> None:
        name = re.match(r"(?:#|--) (\S+)\n", block)
        assert name, f"a block that does not say which file it is:\n{block}"
        path = self.folder / name[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block)

    def _type(self, block: str, printed: str | None) -> None:
        lines = commands(block)
        if STAYS.match(lines[0]):
            for line in lines:
                said = self.folder / f"terminal-{len(list(self.folder.glob('terminal-*')))}.log"
                self._terminals.append(Terminal(line, self.folder, self._env, said))
            for terminal in self._terminals[-len(lines) :]:
                terminal.wait_until(printed)
            return
        until = time.monotonic() + SECONDS_MAX
        while True:
            shown = self._shown(block, may_fail="$?" in block)
            if printed is None or matches(shown, printed):
                return
            looking = all(LOOKS.match(line) for line in lines)
            assert looking and time.monotonic() < until, f"{block}shows:\n{shown}\nand not:\n{printed}"  # noqa: PT018 - one reason: it is not as printed
            time.sleep(LOOK_SECONDS)

    def _shown(self, block: str, *, may_fail: bool) -> str:
        """What a block shows; what it exports is kept."""
        kept = self.folder / "exported"
        done = subprocess.run(
            [
                "bash",
                "-c" if may_fail else "-ec",
                f"{block}\nexport -p | grep SAGA_ > {shlex.quote(str(kept))} || true",
            ],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert may_fail or done.returncode == 0, f"{block}failed with {done.returncode}:\n{done.stdout}"
        for name, value in re.findall(r'^declare -x (SAGA_\w+)="(.*)"$', kept.read_text(), re.MULTILINE):
            self._env[name] = value
        return done.stdout
