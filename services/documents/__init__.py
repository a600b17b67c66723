"""Documents: keeps texts in its own store. `saga serve services.documents:participant`."""

from pathlib import Path

from contracts.documents import ArchiveDocument, CreateDocument
from saga.participant import Participant
from services import faults
from services.documents.handlers import archive, create

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [CreateDocument.handled_by(around(create)), ArchiveDocument.handled_by(around(archive))]
    return Participant("documents", handlers=handlers, migrations=MIGRATIONS)
