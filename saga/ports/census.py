"""What stands in the store, as numbers: for metrics, read now and then by one process."""

from datetime import datetime
from typing import Final, Protocol

import msgspec

OLDEST_LOOKED_AT: Final = 100
"""Sagas of each kind of wait, oldest first."""


class OpenCount(msgspec.Struct, frozen=True):
    """Sagas that have not ended."""

    name: str
    """Of the definition."""
    status: str
    wait_kind: str
    count: int


class OldestWait(msgspec.Struct, frozen=True):
    """Of sagas with one kind of wait: since when the one that has not moved for longest has not moved."""

    wait_kind: str
    since: datetime


class Standing(msgspec.Struct, frozen=True):
    """All of it at one moment."""

    now: datetime
    """Store time."""
    open: tuple[OpenCount, ...]
    oldest: tuple[OldestWait, ...]


class Census(Protocol):
    """Numbers over all sagas that have not ended."""

    async def standing(self) -> Standing:
        """Counts are exact. The oldest waits are found among the `OLDEST_LOOKED_AT` sagas of each kind that were
        started first: exact unless so many older ones moved more lately. Raises Unavailable, also when it takes too
        long."""
        ...
