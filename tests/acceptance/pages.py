"""Code and commands taken out of the pages that print them, so that what is run is what is printed."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a shell block, a line each, without their comments."""
    lines = (re.sub(r"\s+# .*$", "", line).strip() for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def environment(folder: Path) -> dict[str, str]:
    """A shell in which `saga` and `python` are those of this checkout, as after an installation; nothing that was said
    to the engine or to `make` from outside is said in it."""
    commands_folder = folder / "commands"
    for name, runs in {"saga": "-m saga.cli ", "python": "", "python3": ""}.items():
        script = commands_folder / name
        if not script.exists():  # written once: a script that is being run is busy
            commands_folder.mkdir(exist_ok=True)
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {runs}"$@"\n')
            script.chmod(0o755)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SAGA_") and name != "ARGS"},
        "PATH": f"{commands_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
