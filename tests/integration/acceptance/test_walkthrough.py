"""Whoever follows a page notices when it is not as printed."""

from pathlib import Path

import pytest

from tests.acceptance import walkthrough
from tests.acceptance.walkthrough import Walkthrough, matches


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a  b\n", "a b", True),
        ("a b\n", "a c", False),
        ("saga 01a1 is running\n", "saga … is running", True),
        ("saga 01a1 is running\nand more\n", "saga … is running", False),
        ("one\ntwo\nthree\n", "one\n…\nthree", True),
        ("one\nthree\n", "one\n…\nthree", True),
        ("one\ntwo\n", "one\n…\nthree", False),
        ("a.b\n", "a+b", False),
        ("", "…", True),
    ],
)
def test_what_is_printed_is_compared(shown: str, printed: str, same: bool) -> None:
    """An ellipsis stands for anything in its line, alone for any lines; everything else is itself."""
    assert matches(shown, printed) is same


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```sh\necho yes\n```\n\n```text\nno\n```\n", "and not:\nno"),
        ("```sh\nfalse\n```\n", "failed with 1"),
        ("```sh\nfalse\ntrue\n```\n", "failed with 1"),
        ("```python\nprint()\n```\n", "does not say which file it is"),
    ],
)
def test_a_page_that_lies_is_found(page: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other output, a command that fails, in the middle too, and a block that belongs nowhere."""
    monkeypatch.setattr(walkthrough, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(page)
    folder = tmp_path / "reader"
    folder.mkdir()
    with Walkthrough(folder) as reader, pytest.raises(AssertionError, match=complaint):
        reader.follow("page.md")


def test_a_page_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written where they say, what is exported is kept, and what is for the reader only is not run."""
    monkeypatch.setattr(walkthrough, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "```python\n# a/b.py\nprint('hello')\n```\n\n"
        "```sh\nexport SAGA_STORE=here\n```\n\n"
        "```sh\npython3 a/b.py\necho $SAGA_STORE ADDRESS\n```\n\n"
        "```text\nhello\nhere there\n```\n\n"
        "<!-- not run: it would fail -->\n\n```sh\nfalse\n```\n"
    )
    folder = tmp_path / "reader"
    folder.mkdir()
    with Walkthrough(folder, {"ADDRESS": "there"}) as reader:
        reader.follow("page.md")
        assert reader.skipped == ["false\n"]
