"""The guide to waiting, asking, branching and nesting, followed as printed."""

from pathlib import Path

import pytest

from tests.acceptance.walkthrough import Walkthrough


@pytest.mark.timeout(240)
def test_the_guide_works_as_printed(tmp_path: Path) -> None:
    """Its files are written, its commands typed, and they show what it says."""
    with Walkthrough(tmp_path) as reader:
        reader.follow("docs/how-to/wait-and-branch.md")
        reader.end()
    assert reader.skipped == []
