"""Inventory: holds stock for orders in its own tables. `saga serve services.inventory:participant`."""

from pathlib import Path

from contracts.inventory import ReleaseStock, ReserveStock
from saga.participant import Participant
from services import faults
from services.inventory.handlers import release, reserve

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [ReserveStock.handled_by(around(reserve)), ReleaseStock.handled_by(around(release))]
    return Participant("inventory", handlers=handlers, migrations=MIGRATIONS)
