"""What keeps a serving process from its work, for whoever watches it. Written by the loop, read from another thread."""

from typing import Final

from saga.ports import Subscription

STARTING: Final = "not consumed yet"


class Health:
    """Readiness of one process: its queue and its database."""

    def __init__(self, queue: str) -> None:
        self.database: str | None = None
        """Why the database cannot be used; None as long as nobody knows better."""
        self._queue = queue
        self._consumed: Subscription | str = STARTING

    def consumes(self, subscription: Subscription | str) -> None:
        """The queue is consumed from now on, or why it is not."""
        self._consumed = subscription

    @property
    def missing(self) -> dict[str, str]:
        """What is missing and why, by name: `database`, `queue saga.commands.payments`."""
        found = {} if (database := self.database) is None else {"database": database}
        consumed = self._consumed
        trouble = consumed if isinstance(consumed, str) else consumed.trouble
        if trouble is not None:
            found[f"queue {self._queue}"] = trouble
        return found
