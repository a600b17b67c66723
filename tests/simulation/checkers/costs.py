"""What a history cost is what its participants' own books have of the answers that it recorded, each invoice once."""

from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.children import SERVICE
from saga.core.identity import idempotency_key
from saga.core.messages import Kind
from saga.cost import Cost
from tests.simulation.ledger import INVOICE
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

LAW = "cost"


class Costs:
    """Which invoices stand in which history."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._booked: dict[int, str] = {}
        """The saga by invoice."""
        self._told: set[str] = set()
        """Keys of which a definite answer told its invoice."""

    def on_commit(self, row: Row, commit: Commit) -> None:
        """An answer brings its own invoice, and nobody else's; a definite one brings one, unless nothing was run."""
        for event in commit.events:
            if not isinstance(event, e.Costly):
                continue
            key = _key(row, event)
            if event.cost is not None:
                self._book(row, event, key, event.cost)
            elif _by_participant(row, event) and key not in self._told | self._world.ledger.free:
                raise Violation(LAW, f"{type(event).__name__} {key}: an answer was recorded without its cost")

    def _book(self, row: Row, event: e.Costly, key: str, cost: Cost) -> None:
        number = int(cost[INVOICE])
        if self._world.ledger.invoices.get(number) != key and key:
            raise Violation(LAW, f"{type(event).__name__} {key}: invoice {number} is of another command")
        if number in self._booked:
            raise Violation(LAW, f"{type(event).__name__} {key}: invoice {number} was recorded before")
        self._booked[number] = row.saga
        if _is_definite(event):
            self._told.add(key)

    def at_end(self, row: Row) -> None:
        """The sum that people see is that of the invoices."""
        booked = sum(number for number, saga in self._booked.items() if saga == row.saga)
        if row.state.cost.get(INVOICE, 0) != booked or row.state.costs_unreadable:
            raise Violation(LAW, f"{row.saga}: invoices of {booked} were recorded, the sum is {row.state.cost}")


def _is_definite(event: e.Costly) -> bool:
    return not isinstance(event, e.AttemptEnded | e.StepParked | e.StepExhausted)


def _by_participant(row: Row, event: e.Costly) -> bool:
    """A definite answer, of no operator and no sub-saga."""
    match event:
        case e.StepSucceeded() | e.StepFailed() | e.CompensationSucceeded():
            return bool(event.attempt) and row.plan.step(event.path).command.service != SERVICE
        case _:
            return False


def _key(row: Row, event: e.Costly) -> str:
    """Of the command that was answered; nothing for a step that parks or gives up, which names no execution."""
    match event:
        case e.AttemptEnded() | e.LateReply() | e.ContradictoryReply():
            return idempotency_key(row.saga, event.path, event.kind, event.execution)
        case e.StepSucceeded() | e.StepFailed() | e.StepExhausted():
            return idempotency_key(row.saga, event.path, Kind.ACTION, event.execution)
        case e.CompensationSucceeded() | e.CompensationFailed():
            return idempotency_key(row.saga, event.path, Kind.COMPENSATION, event.execution)
        case _:
            return ""
