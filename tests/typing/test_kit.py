"""The test kit as a user types it passes both checkers in their strict modes."""

from pathlib import Path

import pytest

from tests.typing.test_typing import CHECKERS


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_test_kit_passes_the_strict_checkers(checker: str) -> None:
    """Tests that are written by the book need no cast and no ignore."""
    assert CHECKERS[checker](Path("tests/typing/kit.py")) == {}
