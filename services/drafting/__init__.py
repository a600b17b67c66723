"""Drafting: writes messages from templates in its own tables. `saga serve services.drafting:participant`."""

from pathlib import Path

from contracts.drafting import DiscardDraft, DraftMessage
from saga.participant import Participant
from services import faults
from services.drafting.handlers import discard, draft

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [DraftMessage.handled_by(around(draft)), DiscardDraft.handled_by(around(discard))]
    return Participant("drafting", handlers=handlers, migrations=MIGRATIONS)
