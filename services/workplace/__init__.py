"""Workplace: desks at sites, and badges, in its own tables. `saga serve services.workplace:participant`."""

from pathlib import Path

from contracts.workplace import AssignDesk, IssueBadge, ReleaseDesk
from saga.participant import Participant
from services import faults
from services.workplace.handlers import assign, badge, release

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [
        AssignDesk.handled_by(around(assign)),
        ReleaseDesk.handled_by(around(release)),
        IssueBadge.handled_by(around(badge)),
    ]
    return Participant("workplace", handlers=handlers, migrations=MIGRATIONS)
