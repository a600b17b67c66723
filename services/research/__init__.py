"""Research: looks companies up. It has no tables and changes nothing. `saga serve services.research:participant`."""

from contracts.research import ResearchCompany
from saga.participant import Participant
from services import faults
from services.research.handlers import research


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    return Participant("research", handlers=[ResearchCompany.handled_by(faults.from_environment().around(research))])
