"""What an orchestrator process can do now, for whoever watches it. Written by the loops, read from another thread."""

from saga.engine.receive import QUEUES
from saga.ports import Subscription

STARTING = "not looked at yet"


class Health:
    """Readiness says what is missing; `degraded` what some sagas wait for while the others go on."""

    def __init__(self) -> None:
        self.store: str | None = STARTING
        """Why the store cannot be used; None when it can."""
        self.degraded: dict[str, str] = {}
        """Queues of services that took nothing, by service."""
        self.draining = False
        self.commits = 0
        self.works = 0
        self.in_flight = 0
        self._queues: dict[str, Subscription | str] = dict.fromkeys(QUEUES, "not consumed yet")

    def consumes(self, queue: str, subscription: Subscription | str) -> None:
        """A queue is consumed from now on, or why it is not."""
        self._queues[queue] = subscription

    @property
    def missing(self) -> dict[str, str]:
        """What is missing and why, by name: `store`, `queue saga.replies`."""
        found = {} if (store := self.store) is None else {"store": store}
        for queue, consumed in self._queues.items():
            trouble = consumed if isinstance(consumed, str) else consumed.trouble
            if trouble is not None:
                found[f"queue {queue}"] = trouble
        return found

    @property
    def ready(self) -> bool:
        """Whether this process does what an orchestrator is for."""
        return not self.draining and not self.missing

    def report(self) -> dict[str, object]:
        """Everything, as the readiness endpoint shows it."""
        return {
            "ready": self.ready,
            "missing": self.missing,
            "degraded": dict(self.degraded),
            "draining": self.draining,
            "commits": self.commits,
            "inputs": self.works,
            "in_flight": self.in_flight,
        }
