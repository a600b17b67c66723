"""Store time, estimated from what commits say."""

from datetime import timedelta

from saga.engine.time import StoreClock
from tests.builders import after
from tests.unit.engine.rig import ManualClock

AHEAD = 300.0
"""Seconds the store's clock is ahead of this machine's."""


def commit(clock: ManualClock, store: StoreClock, *, out: float, back: float, ahead: float = AHEAD) -> None:
    """A commit whose way out and back took so long."""
    asked = store.asked()
    clock.seconds += out
    said = after(clock.seconds + ahead)
    clock.seconds += back
    store.learn(said, asked)


def error(clock: ManualClock, store: StoreClock, ahead: float = AHEAD) -> float:
    """How wrong the estimate is, in seconds."""
    return abs((store.now() - after(clock.seconds + ahead)).total_seconds())


def test_before_the_first_commit_the_machine_is_believed() -> None:
    """There is nothing better."""
    clock = ManualClock()
    assert StoreClock(clock).now() == clock.now()


def test_the_estimate_is_within_half_a_round_trip() -> None:
    """Wherever in between the store looked at its clock."""
    for out, back in ((0.0, 0.2), (0.2, 0.0), (0.1, 0.1)):
        clock = ManualClock()
        store = StoreClock(clock)
        commit(clock, store, out=out, back=back)
        assert error(clock, store) <= 0.1 + 1e-6


def test_a_slow_commit_does_not_spoil_what_is_known() -> None:
    """A stalled answer says little: the better reading is kept, so time does not jump back."""
    clock = ManualClock()
    store = StoreClock(clock)
    commit(clock, store, out=0.001, back=0.001)
    clock.seconds += 10
    before = store.now()
    commit(clock, store, out=0.0, back=3.0)
    assert error(clock, store) < 0.01
    assert store.now() - before == timedelta(seconds=3)


def test_an_old_reading_gives_way() -> None:
    """Clocks drift: after an hour a fresh answer says more than the good one of then."""
    clock = ManualClock()
    store = StoreClock(clock)
    commit(clock, store, out=0.001, back=0.001)
    clock.seconds += 3_600
    drifted = AHEAD + 1.5
    commit(clock, store, out=0.05, back=0.05, ahead=drifted)
    assert error(clock, store, drifted) <= 0.05 + 1e-6


def test_a_store_whose_clock_was_set_is_believed() -> None:
    """What contradicts the reading replaces it: a restored or failed-over store has its own time."""
    clock = ManualClock()
    store = StoreClock(clock)
    commit(clock, store, out=0.001, back=0.001)
    commit(clock, store, out=0.1, back=0.1, ahead=-AHEAD)
    assert error(clock, store, -AHEAD) <= 0.1 + 1e-6
