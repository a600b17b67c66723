"""The committed history, read along by followers, each with a named cursor that one process at a time may move."""

from typing import Protocol

import msgspec

from saga.ports.lookup import HistoryRow

BEGINNING = ""
"""The position before everything."""


class Page(msgspec.Struct, frozen=True):
    """Commits in the order in which a follower may rely on them: those of one saga by version."""

    rows: tuple[HistoryRow, ...]
    position: str
    """Where to read on when these rows are done with. Opaque; only `read_after` of the same store understands it."""
    more: bool
    """There may be more to read at once."""
    restarted: str = ""
    """Why it reads from the beginning, though the position said otherwise."""


class Feed(Protocol):
    """The history in the order of its commits, and the cursors of those who follow it.

    A commit that was read is never followed by one that should have come before it, however long the transaction that
    wrote it was open. It has connections of its own: who follows takes nothing from those who decide.
    """

    async def take_cursor(self, name: str, owner: str, lease_seconds: float) -> str | None:
        """Hold this cursor until the lease ends, by store time, and return the position last saved.

        The owner prolongs its lease by taking it again. None while somebody else holds it. A name that was never used
        begins at the beginning. Raises Unavailable.
        """
        ...

    async def read_after(self, position: str, limit: int) -> Page:
        """At most `limit` commits (1 to 10,000) after the position. Raises Unavailable."""
        ...

    async def save_cursor(self, name: str, owner: str, position: str, lease_seconds: float) -> bool:
        """Write the position and prolong the lease; 0 seconds give it up. False, and nothing is written, when somebody
        else took the cursor meanwhile. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
