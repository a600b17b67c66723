"""Time, identity and chance."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """The only source of identity and chance."""

    def saga(self) -> str:
        """A new UUIDv7: ids sort by the time they were made."""
        ...

    def message(self) -> str:
        """A new random message id."""
        ...
