"""Customers: who they are, in its own tables. `saga serve services.customers:participant`."""

from pathlib import Path

from contracts.customers import CloseCustomer, CreateCustomer
from saga.participant import Participant
from services import faults
from services.customers.handlers import close, create

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [CreateCustomer.handled_by(around(create)), CloseCustomer.handled_by(around(close))]
    return Participant("customers", handlers=handlers, migrations=MIGRATIONS)
