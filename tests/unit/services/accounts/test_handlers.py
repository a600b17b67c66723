"""What accounts does with its tables."""

import pytest

from contracts.accounts import (
    AccountClosed,
    AccountCreated,
    CloseAccount,
    CreateAccount,
    GrantPrivileges,
    LoginRefused,
    PrivilegesGranted,
    PrivilegesRevoked,
    RevokePrivileges,
    UnknownPrivilege,
)
from services.accounts.handlers import close, create, grant, revoke
from tests.unit.services.tables import Tables

HELD = "select privilege from granted_privileges where employee_id = 'e1' and state = 'held' order by privilege"


@pytest.fixture
def directory(tables: Tables) -> Tables:
    """Accounts' tables, with its privileges."""
    return tables.migrate("accounts")


async def test_an_account_is_opened_and_closed(directory: Tables) -> None:
    """Both are in the ledger, under their keys, with the account they are about."""
    opened = await create(CreateAccount(employee_id="e1", login="ann"), directory.context(key="k1", step="account"))
    assert isinstance(opened, AccountCreated)
    assert directory.rows("select login, state from user_accounts") == [("ann", "open")]
    closed = await close(CloseAccount(employee_id="e1"), directory.context(key="k2", step="account"))
    assert closed == AccountClosed(account_count=1)
    assert directory.rows("select login, state from user_accounts") == [("ann", "closed")]
    effects = directory.rows("select step, kind, idempotency_key, subject, detail from accounts_effects")
    assert effects == [
        ("account", "do", "k1", "e1", opened.account_id),
        ("account", "undo", "k2", "e1", opened.account_id),
    ]


async def test_a_reserved_login_is_refused(directory: Tables) -> None:
    """Nobody is called root, and nothing is written."""
    refused = await create(CreateAccount(employee_id="e1", login="root"), directory.context())
    assert refused == LoginRefused(login="root")
    assert directory.rows("select * from user_accounts") == []
    assert directory.rows("select * from accounts_effects") == []


async def test_privileges_are_granted_and_revoked_together(directory: Tables) -> None:
    """Each once, however often it is named; those of others stay."""
    await grant(GrantPrivileges(employee_id="e2", privileges=("wiki",)), directory.context())
    granted = await grant(GrantPrivileges(employee_id="e1", privileges=("vpn", "mail", "vpn")), directory.context())
    assert granted == PrivilegesGranted(privileges=("mail", "vpn"))
    assert directory.rows(HELD) == [("mail",), ("vpn",)]
    revoked = await revoke(RevokePrivileges(employee_id="e1"), directory.context())
    assert revoked == PrivilegesRevoked(privilege_count=2)
    assert directory.rows(HELD) == []
    assert directory.rows("select employee_id from granted_privileges where state = 'held'") == [("e2",)]


async def test_an_unknown_privilege_grants_none(directory: Tables) -> None:
    """The others of the same command are not granted either."""
    refused = await grant(GrantPrivileges(employee_id="e1", privileges=("mail", "moon")), directory.context())
    assert refused == UnknownPrivilege(privilege="moon")
    assert directory.rows("select * from granted_privileges") == []
    assert directory.rows("select * from accounts_effects") == []
