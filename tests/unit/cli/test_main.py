"""What is true of every command line."""

import pytest

from tests.unit.cli.conftest import Type

LATIN = b"f\xfcr heute".decode(errors="surrogateescape")
"""As Python hands on an argument that is not UTF-8."""


@pytest.mark.parametrize(
    "line",
    [
        ("pause", "order/o1", "--reason", LATIN),
        ("pause", "order/o1", "--reason", "why", f"--actor={LATIN}"),
        ("resolve", "order/o1", "reserve", "applied", "--reason", "why", "--evidence", LATIN),
        ("approvals", "approve", "order/o1", "review", "--reason", LATIN),
        ("start", "order", "--key", LATIN),
        ("show", LATIN),
    ],
)
def test_what_is_not_utf8_is_refused_before_anything_is_tried(saga: Type, started: str, line: tuple[str, ...]) -> None:
    """No record can hold it: the line says what was meant, and nothing was recorded."""
    typed = saga(*line)
    assert (typed.code, typed.err.partition(" ")[0]) == (2, "SAGA-1001")
    assert r"f\udcfcr heute" in typed.err
    assert "not UTF-8" in typed.err
    assert saga("show", started, "-o", "json").json()["version"] == 1
