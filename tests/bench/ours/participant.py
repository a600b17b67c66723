"""The participant: one insert a command, in the transaction that also remembers the answer."""

from pathlib import Path

from saga.contract import Context
from saga.participant import Participant
from tests.bench.ours.contracts import SERVICE, Book, Charge, Confirm, Done, Refund, Release, Reserve, Undone

INSERT = "insert into effects (order_id, step, amount_cents) values ($1, $2, $3)"
DELETE = "delete from effects where order_id = $1 and step = $2"


async def do(cmd: Reserve | Charge | Book | Confirm, ctx: Context) -> Done:
    """Write the step's row."""
    step = type(cmd).__name__.lower()
    await ctx.tx.execute(INSERT, cmd.order_id, step, cmd.amount_cents)
    return Done(reference=f"{step}-{cmd.order_id}")


async def undo(cmd: Release | Refund, ctx: Context) -> Undone:
    """Remove it; never asked for where nothing fails."""
    await ctx.tx.execute(DELETE, cmd.order_id, "reserve" if isinstance(cmd, Release) else "charge")
    return Undone()


def made(commands_per_transaction: int) -> Participant:
    """The participant."""
    return Participant(
        SERVICE,
        commands_per_transaction=commands_per_transaction,
        handlers=[
            Reserve.handled_by(do),
            Release.handled_by(undo),
            Charge.handled_by(do),
            Refund.handled_by(undo),
            Book.handled_by(do),
            Confirm.handled_by(do),
        ],
        migrations=Path(__file__).parent / "migrations",
    )


def alone() -> Participant:
    """As it is by default: each command in a transaction of its own."""
    return made(1)


def together() -> Participant:
    """Up to sixteen waiting commands in one transaction."""
    return made(16)
