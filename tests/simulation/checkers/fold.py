"""S3: the fold of the stored bytes is the state that was decided with."""

from saga.core import events as e
from saga.core.evolve import fold
from tests.simulation.store import Row
from tests.simulation.violation import Violation


def at_end(row: Row) -> None:
    """A fresh process reads the same saga."""
    if fold(e.decode(commit.data) for commit in row.commits) != row.state:
        raise Violation("S3", f"{row.saga}: the fold of its history is not the state it was decided with")
