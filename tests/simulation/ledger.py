"""What really happened in the outside world: the participants' own books, from which every effect is counted."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from saga.core.messages import CommandMessage
from saga.cost import Cost
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


INVOICE: Final = "invoice"


class Entry(msgspec.Struct):
    """One action key: how often it was applied and undone, whoever asked."""

    saga: str
    path: str
    key: str
    applied: int = 0
    undone: int = 0

    @property
    def net(self) -> int:
        return self.applied - self.undone


class Ledger:
    """Append-only, without a unique key: what happens twice is seen twice."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.entries: dict[str, Entry] = {}
        self.lines: list[tuple[float, str, str, str]] = []
        """(time, what, path, key), for people."""
        self.undo_keys: set[str] = set()
        self.invoices: dict[int, str] = {}
        """By number, the key of the command whose handler ran. Each run is paid for, whatever came of it."""
        self.free: set[str] = set()
        """Keys that were settled without running their handler."""

    def applied(self, key: str) -> bool:
        """Whether the effect of this key was ever applied: what a probe or a provider sees."""
        entry = self.entries.get(key)
        return entry is not None and entry.applied > 0

    def net(self, key: str) -> int:
        """The effect that stands."""
        entry = self.entries.get(key)
        return 0 if entry is None else entry.net

    def apply(self, command: CommandMessage) -> None:
        """An action takes effect."""
        entry = self.entries.get(command.key)
        if entry is None:
            entry = self.entries[command.key] = Entry(command.saga, command.path, command.key)
        entry.applied += 1
        self._line("apply", command.path, command.key)
        self._world.checkers.on_effect(entry, command)

    def undo(self, command: CommandMessage) -> None:
        """A compensation takes effect: on the action it names, whatever is left of it."""
        action = command.undoes or ""
        entry = self.entries.get(action)
        if entry is None:
            raise Violation("S6", f"{command.path}: an undo took effect on {action}, which was never applied")
        entry.undone += 1
        self.undo_keys.add(command.key)
        self._line("undo", command.path, action)
        self._world.checkers.on_effect(entry, command)

    def undo_by_hand(self, key: str) -> None:
        """A person takes back what no command can."""
        entry = self.entries.get(key)
        if entry is not None and entry.net == 1:
            entry.undone += 1
            self._line("undo by hand", entry.path, key)

    def invoice(self, key: str) -> Cost:
        """One more run of a handler, as its answer tells it: the amount is the number of the invoice."""
        number = len(self.invoices) + 1
        self.invoices[number] = key
        return {INVOICE: Decimal(number)}

    def _line(self, what: str, path: str, key: str) -> None:
        self.lines.append((self._world.now, what, path, key))
        self._world.trace(f"{what} {key}".encode())
