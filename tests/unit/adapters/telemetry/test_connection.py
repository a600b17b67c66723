"""How long a backend may have us wait: by seconds or by its own clock, and never for long."""

import pytest

from saga.adapters.telemetry.connection import wait_seconds

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("wish", "date", "seconds"),
    [
        ("", NOW, 0),
        ("0", NOW, 0),
        ("7", "", 7),
        ("61", "", 60),
        ("9" * 5_000, "", 60),
        ("-1", NOW, 0),
        ("1.5", NOW, 0),
        ("soon", NOW, 0),
        ("Wed, 21 Oct 2026 07:28:20 GMT", NOW, 20),
        ("Wednesday, 21-Oct-26 07:28:20 GMT", NOW, 20),
        ("Wed Oct 21 07:28:20 2026", NOW, 20),
        ("Wed, 21 Oct 2026 07:27:00 GMT", NOW, 0),
        ("Thu, 22 Oct 2026 07:28:00 GMT", NOW, 60),
        ("Wed, 21 Oct 2026 07:28:20 GMT", "", 60),
        ("Wed, 21 Oct 2026 07:28:20 GMT", "today", 60),
        ("Wed, 99 Oct 2026 07:28:20 GMT", NOW, 0),
        ("٣", NOW, 0),
    ],
)
def test_what_retry_after_asks_for(wish: str, date: str, seconds: float) -> None:
    """Whatever stands there, it is between nothing and a minute."""
    assert wait_seconds(wish, date) == seconds
