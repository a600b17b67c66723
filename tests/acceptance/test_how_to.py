"""How-to guides without servers, followed as printed."""

from pathlib import Path

import pytest

from tests.acceptance.walkthrough import Walkthrough

PAGES = ("write-a-saga", "wait-and-branch", "write-a-participant", "operate")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.timeout(240)
def test_the_guide_works_as_printed(page: str, tmp_path: Path) -> None:
    """Its files are written, its commands typed, and they show what it says."""
    with Walkthrough(tmp_path) as reader:
        reader.follow(f"docs/how-to/{page}.md")
        reader.end()
    assert reader.skipped == []
