"""What mailboxes does. Each handler runs in the transaction that also remembers its answer.

No handler here guards against being run twice: that is the inbox's promise, and a guard would hide it being broken.
"""

from contracts.mailboxes import AddressInUse, CloseMailbox, MailboxClosed, MailboxOpened, OpenMailbox
from saga.contract import Context
from services.effects import EffectLedger

EFFECTS = EffectLedger("mailboxes")
HOST = "box.example"
RESERVED = frozenset({"abuse", "postmaster"})
"""Names (RFC 2142) that belong to whoever runs the server."""


async def open_box(cmd: OpenMailbox, ctx: Context) -> MailboxOpened | AddressInUse:
    """Open a mailbox."""
    address = f"{cmd.name}@{HOST}"
    if cmd.name in RESERVED:
        return AddressInUse(address=address)
    await ctx.tx.execute(
        "insert into mailboxes (address, customer_id, state) values ($1, $2, 'open')", address, cmd.customer_id
    )
    await EFFECTS.record(ctx, "do", subject=cmd.customer_id, detail=address)
    return MailboxOpened(address=address)


async def close(cmd: CloseMailbox, ctx: Context) -> MailboxClosed:
    """Close whatever is open of the customer."""
    closed = await ctx.tx.execute(
        "update mailboxes set state = 'closed' where customer_id = $1 and state = 'open' returning address",
        cmd.customer_id,
    )
    await EFFECTS.record(ctx, "undo", subject=cmd.customer_id, detail=" ".join(sorted(row[0] for row in closed)))
    return MailboxClosed(mailbox_count=len(closed))
