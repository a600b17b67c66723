"""What customers does. Each handler runs in the transaction that also remembers its answer.

No handler here guards against being run twice: that is the inbox's promise, and a guard would hide it being broken.
"""

from uuid import uuid4

from contracts.customers import CloseCustomer, CreateCustomer, CustomerClosed, CustomerCreated, CustomerRefused
from saga.contract import Context
from services.effects import EffectLedger

EFFECTS = EffectLedger("customers")
BLOCKED = "blocked"
"""A customer whose name starts so is refused."""


async def create(cmd: CreateCustomer, ctx: Context) -> CustomerCreated | CustomerRefused:
    """Open an account."""
    if cmd.name.startswith(BLOCKED):
        return CustomerRefused(reason="they are on the list")
    account_id = f"cus_{uuid4().hex}"
    await ctx.tx.execute(
        "insert into customer_accounts (account_id, customer_id, name, email, state) values ($1, $2, $3, $4, 'open')",
        account_id,
        cmd.customer_id,
        cmd.name,
        cmd.email,
    )
    await EFFECTS.record(ctx, "do", subject=cmd.customer_id, detail=account_id)
    return CustomerCreated(account_id=account_id)


async def close(cmd: CloseCustomer, ctx: Context) -> CustomerClosed:
    """Close whatever is open of the customer."""
    closed = await ctx.tx.execute(
        "update customer_accounts set state = 'closed' where customer_id = $1 and state = 'open' returning account_id",
        cmd.customer_id,
    )
    await EFFECTS.record(ctx, "undo", subject=cmd.customer_id, detail=" ".join(sorted(row[0] for row in closed)))
    return CustomerClosed(account_count=len(closed))
