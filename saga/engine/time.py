"""Store time, estimated: the commit says what time the store has, and each process keeps the difference."""

from datetime import datetime, timedelta

from saga.ports import Clock


class StoreClock:
    """The only `now` that decisions see. Whether something is due is decided by the store itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The store's time, give or take a round trip."""
        return self._clock.now() + self._ahead

    def learn(self, store_now: datetime) -> None:
        """Take over what a commit said. The answer's way back makes it a little late, never early."""
        self._ahead = store_now - self._clock.now()
