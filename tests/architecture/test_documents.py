"""Documents that are kept by hand agree with what they list."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
GUARANTEES = ROOT / "docs" / "explanation" / "guarantees.md"


def test_the_index_lists_every_decision() -> None:
    """A decision nobody can find was not recorded."""
    files = {path.name for path in DECISIONS.glob("[0-9]*.md")}
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (DECISIONS / "README.md").read_text())
    assert set(listed) == files
    assert len(listed) == len(files) + 1  # 0001 is linked in the introduction as well


def test_decisions_have_their_four_parts() -> None:
    """Status, context, decision, consequences: in this order."""
    for path in DECISIONS.glob("[0-9]*.md"):
        headings = re.findall(r"^## (.+)$", path.read_text(), flags=re.MULTILINE)
        assert headings == ["Status", "Context", "Decision", "Consequences"], path.name


def test_what_is_promised_is_said_once() -> None:
    """The README lists it, the page about it quotes that list; the last line of the README is about the version."""
    readme = (ROOT / "README.md").read_text().partition("## What it promises")[2].partition("## What is where")[0]
    listed = re.findall(r"^- (.+)$", readme, flags=re.MULTILINE)
    assert len(listed) >= 12
    assert re.findall(r"^> (.+)$", GUARANTEES.read_text(), flags=re.MULTILINE) == listed[:-1]
    assert listed[-1].startswith("**This is version ")
