"""S13: an answer of a stranger, or to something never asked, changes nothing."""

from typing import TYPE_CHECKING

from saga.core import inputs as i
from tests.simulation.store import Commit
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def on_commit(world: "World", commit: Commit) -> None:
    """No commit comes from a forged reply."""
    if isinstance(commit.given, i.Reply) and any(commit.given.message is forged for forged in world.broker.forged):
        raise Violation("S13", f"a forged reply led to version {commit.version}")
