"""S6, S14: per key at most one effect and one undo, net 0 or 1, and only with the bytes that were issued."""

from saga.core.messages import CommandMessage
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.ledger import Entry
from tests.simulation.violation import Violation


def on_effect(entry: Entry, command: CommandMessage, shadow: Shadow) -> None:
    """Counted in the outside world's own book."""
    if entry.applied > 1:
        raise Violation("S6", f"{entry.path} took effect {entry.applied} times under key {entry.key}")
    if entry.net not in (0, 1):
        raise Violation("S6", f"{entry.path} was undone {entry.undone} times, applied {entry.applied}")
    if shadow.bodies.get(command.key, command.body) != command.body:
        raise Violation("S14", f"{command.path} took effect with bytes that were never issued")
