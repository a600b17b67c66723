"""Every command of accounts survives every way in which it may be delivered."""

from contracts.accounts import CloseAccount, CreateAccount, GrantPrivileges, RevokePrivileges
from saga.testing import assert_idempotent
from services import accounts

OPEN = "select count(*) from user_accounts where state = 'open'"
HELD = "select count(*) from granted_privileges where state = 'held'"


async def test_creating_an_account() -> None:
    """It is opened once and closed once, wherever accounts dies."""
    create = CreateAccount(employee_id="e1", login="ann")
    undo = CloseAccount(employee_id="e1")
    proven = await assert_idempotent(accounts.participant(), create, effects=OPEN, undo=undo)
    assert proven.crashes > 10


async def test_a_refused_login() -> None:
    """It is refused again, and there is nothing to close."""
    create = CreateAccount(employee_id="e1", login="root")
    await assert_idempotent(accounts.participant(), create, effects=OPEN, undo=CloseAccount(employee_id="e1"))


async def test_granting_privileges() -> None:
    """All are granted once, and all revoked once."""
    grant = GrantPrivileges(employee_id="e1", privileges=("mail", "vpn"))
    proven = await assert_idempotent(
        accounts.participant(), grant, effects=HELD, undo=RevokePrivileges(employee_id="e1")
    )
    assert proven.crashes > 10


async def test_an_unknown_privilege() -> None:
    """None of them is ever granted."""
    grant = GrantPrivileges(employee_id="e1", privileges=("mail", "moon"))
    await assert_idempotent(accounts.participant(), grant, effects=HELD, undo=RevokePrivileges(employee_id="e1"))
