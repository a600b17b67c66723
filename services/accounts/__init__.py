"""Accounts: logins, and what they may do, in its own tables. `saga serve services.accounts:participant`."""

from pathlib import Path

from contracts.accounts import CloseAccount, CreateAccount, GrantPrivileges, RevokePrivileges
from saga.participant import Participant
from services import faults
from services.accounts.handlers import close, create, grant, revoke

MIGRATIONS = Path(__file__).parent / "migrations"


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a bad setting."""
    around = faults.from_environment().around
    handlers = [
        CreateAccount.handled_by(around(create)),
        CloseAccount.handled_by(around(close)),
        GrantPrivileges.handled_by(around(grant)),
        RevokePrivileges.handled_by(around(revoke)),
    ]
    return Participant("accounts", handlers=handlers, migrations=MIGRATIONS)
