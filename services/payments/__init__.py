"""Payments: a double-entry ledger with balances. `saga serve services.payments:participant`."""

from pathlib import Path

from contracts.payments import CancelInvoice, ChargeCard, IssueInvoice, RefundCharge
from saga.participant import Participant
from services import faults
from services.payments.handlers import cancel, charge, invoice, payable, refund

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [
        ChargeCard.handled_by(around(charge), check=payable),
        RefundCharge.handled_by(around(refund)),
        IssueInvoice.handled_by(around(invoice), check=payable),
        CancelInvoice.handled_by(around(cancel)),
    ]
    return Participant("payments", handlers=handlers, migrations=MIGRATIONS)
