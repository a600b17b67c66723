"""S1, S2: versions run 1..n without a gap, one commit each, never rewritten, and every commit says something."""

from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation


def on_commit(row: Row, commit: Commit) -> None:
    """The new commit is the next one, decided on the one before."""
    if commit.version != row.version or commit.state.version != commit.version:
        raise Violation("S2", f"commit {commit.version} was decided on version {commit.state.version - 1}")
    if not commit.events:
        raise Violation("S1", f"commit {commit.version} says nothing")
