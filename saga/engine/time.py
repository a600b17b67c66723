"""Store time, estimated: every commit says what time the store has, and each process keeps an estimate of it.

Between commits the estimate moves with the monotonic clock, so a wall clock that is set does not move it. A commit
bounds the truth by its round trip: the store's `now` was read between asking and hearing. The best bound is kept, and
gets worse with its age as clocks drift; one that contradicts it replaces it, because the store's clock was set.
"""

from datetime import datetime, timedelta

import msgspec

from saga.ports import Clock

DRIFT = 0.0005
"""Seconds a clock may gain or lose in a second: five times what cheap quartz does."""


class _Reading(msgspec.Struct, frozen=True):
    """The store had this time when our monotonic clock showed `at`, give or take `error_seconds`."""

    store: datetime
    at: float
    error_seconds: float

    def store_at(self, monotonic: float) -> datetime:
        return self.store + timedelta(seconds=monotonic - self.at)

    def error_at(self, monotonic: float) -> float:
        return self.error_seconds + DRIFT * max(monotonic - self.at, 0.0)


class StoreClock:
    """The only `now` that decisions see. Whether something is due is decided by the store itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reading: _Reading | None = None

    def asked(self) -> float:
        """Call before a commit, and hand what it returns to `learn`."""
        return self._clock.monotonic()

    def learn(self, store_now: datetime, asked: float) -> None:
        """Take over what a commit said, if it says more than is known."""
        heard = self._clock.monotonic()
        error_seconds = (heard - asked) / 2
        new = _Reading(store_now, asked + error_seconds, error_seconds)
        known = self._reading
        if known is not None:
            apart = abs((new.store - known.store_at(new.at)).total_seconds())
            error_known = known.error_at(heard)
            if error_known <= error_seconds and apart <= error_known + error_seconds:
                return
        self._reading = new

    def now(self) -> datetime:
        """The store's time as far as it is known; this machine's until the first commit."""
        if self._reading is None:
            return self._clock.now()
        return self._reading.store_at(self._clock.monotonic())
