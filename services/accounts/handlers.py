"""What accounts does. Each handler runs in the transaction that also remembers its answer.

No handler here guards against being run twice: that is the inbox's promise, and a guard would hide it being broken.
"""

from uuid import uuid4

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
from saga.contract import Context
from services.effects import EffectLedger

EFFECTS = EffectLedger("accounts")
RESERVED_LOGINS = frozenset({"admin", "postmaster", "root"})


async def create(cmd: CreateAccount, ctx: Context) -> AccountCreated | LoginRefused:
    """Open an account."""
    if cmd.login in RESERVED_LOGINS:
        return LoginRefused(login=cmd.login)
    account_id = f"acc_{uuid4().hex}"
    await ctx.tx.execute(
        "insert into user_accounts (account_id, employee_id, login, state) values ($1, $2, $3, 'open')",
        account_id,
        cmd.employee_id,
        cmd.login,
    )
    await EFFECTS.record(ctx, "do", subject=cmd.employee_id, detail=account_id)
    return AccountCreated(account_id=account_id)


async def close(cmd: CloseAccount, ctx: Context) -> AccountClosed:
    """Close whatever is open of the employee."""
    closed = await ctx.tx.execute(
        "update user_accounts set state = 'closed' where employee_id = $1 and state = 'open' returning account_id",
        cmd.employee_id,
    )
    await EFFECTS.record(ctx, "undo", subject=cmd.employee_id, detail=" ".join(sorted(row[0] for row in closed)))
    return AccountClosed(account_count=len(closed))


async def grant(cmd: GrantPrivileges, ctx: Context) -> PrivilegesGranted | UnknownPrivilege:
    """Grant every privilege, or none."""
    wanted = tuple(sorted(set(cmd.privileges)))
    for privilege in wanted:
        if not await ctx.tx.execute("select name from privileges where name = $1", privilege):
            return UnknownPrivilege(privilege=privilege)
    for privilege in wanted:
        await ctx.tx.execute(
            "insert into granted_privileges (employee_id, privilege, state) values ($1, $2, 'held')",
            cmd.employee_id,
            privilege,
        )
    await EFFECTS.record(ctx, "do", subject=cmd.employee_id, detail=" ".join(wanted))
    return PrivilegesGranted(privileges=wanted)


async def revoke(cmd: RevokePrivileges, ctx: Context) -> PrivilegesRevoked:
    """Take back whatever the employee holds."""
    taken = await ctx.tx.execute(
        "update granted_privileges set state = 'revoked' where employee_id = $1 and state = 'held' returning privilege",
        cmd.employee_id,
    )
    await EFFECTS.record(ctx, "undo", subject=cmd.employee_id, detail=" ".join(sorted(row[0] for row in taken)))
    return PrivilegesRevoked(privilege_count=len(taken))
