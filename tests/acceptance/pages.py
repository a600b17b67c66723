"""Code and commands taken out of the pages that print them, so that what is run is what is printed."""

import re
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
