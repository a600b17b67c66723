"""The benchmark's own judges: a timer that is early, fires twice or not at all is seen, and pairs are compared."""

from datetime import datetime, timedelta

import pytest

from tests.bench.waiting.beside import Round
from tests.bench.waiting.memory import Memory
from tests.bench.waiting.report import ratios_of
from tests.bench.waiting.ringing import Heard, Judged, Records, judge
from tests.builders import NOW

DUE = {"a": NOW, "b": NOW, "c": NOW}
SOON = NOW + timedelta(milliseconds=40)
EARLY = NOW - timedelta(microseconds=1)


def judged(fired: dict[str, list[datetime]], *keys: str) -> Judged:
    """Of three timers."""
    records = Records()
    records.due.update(DUE)
    records.fired = fired
    records.completed = dict.fromkeys(fired, SOON)
    return judge(records, [Heard(key, key, SOON) for key in keys])


def test_all_fired_once() -> None:
    """Nothing to complain of."""
    found = judged({saga: [SOON] for saga in DUE}, *DUE)
    assert (found.sagas, found.fired_once, found.early, found.keys, found.repeats, found.completed) == (
        3,
        3,
        0,
        3,
        0,
        3,
    )
    assert (found.late_p50_ms, found.late_max_ms) == (40, 40)


@pytest.mark.parametrize(
    ("fired", "keys", "seen"),
    [
        ({"a": [SOON], "b": [SOON]}, ("a", "b"), (2, 0, 2, 0)),
        ({"a": [SOON], "b": [SOON], "c": [EARLY]}, ("a", "b", "c"), (3, 1, 3, 0)),
        ({"a": [SOON], "b": [SOON], "c": [SOON, SOON]}, ("a", "b", "c"), (2, 0, 3, 0)),
        ({"a": [SOON], "b": [SOON], "c": [SOON]}, ("a", "b", "c", "c"), (3, 0, 3, 1)),
    ],
    ids=["one is missing", "one is early", "one fired twice", "one came twice"],
)
def test_what_is_wrong_is_seen(fired: dict[str, list[datetime]], keys: tuple[str, ...], seen: tuple[int, ...]) -> None:
    """Fired once, early, different commands, repeats."""
    found = judged(fired, *keys)
    assert (found.fired_once, found.early, found.keys, found.repeats) == seen


def test_rounds_are_compared_with_their_neighbours() -> None:
    """Whichever of the two came first."""
    idle = Memory(1, 1)
    rounds = [
        Round(store=f"sqlite-{store}", orders_per_second=rate, p50_ms=None, p99_ms=None, idle=idle, loaded=idle)
        for store, rate in (("empty", 100.0), ("full", 90.0), ("full", 60.0), ("empty", 50.0))
    ]
    assert ratios_of(rounds) == [pytest.approx(0.9), pytest.approx(1.2)]
