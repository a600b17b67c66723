"""Mailboxes: where customers get mail, in its own tables. `saga serve services.mailboxes:participant`."""

from pathlib import Path

from contracts.mailboxes import CloseMailbox, OpenMailbox
from saga.participant import Participant
from services import faults
from services.mailboxes.handlers import close, open_box

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [OpenMailbox.handled_by(around(open_box)), CloseMailbox.handled_by(around(close))]
    return Participant("mailboxes", handlers=handlers, migrations=MIGRATIONS)
