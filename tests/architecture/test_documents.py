"""Documents that are kept by hand agree with what they list."""

import re
from pathlib import Path

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"


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
