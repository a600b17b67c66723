"""Participants with ledgers of their own, for metrics: a desk that reserves, and one that charges or declines."""

from pathlib import Path

from msgspec import Struct

from saga import Command, Context, Effect, Failure, Participant, RetryLater, command

SECRET = "hunter2"
HESITANT = f"o-later-{SECRET}"
"""Id of the order that is reserved with the second attempt."""


class Done(Struct, frozen=True):
    """A reply."""

    note: str = SECRET


class Declined(Failure, frozen=True):
    """A refusal."""

    reason: str = SECRET


@command(service="reserve-service", effect=Effect.INBOX)
class Reserve(Command[Done], frozen=True):
    """Hold something."""

    order: str


@command(service="reserve-service", effect=Effect.INBOX)
class UndoReserve(Command[Done], frozen=True):
    """Let it go."""

    order: str


@command(service="charge-service", effect=Effect.INBOX)
class Charge(Command[Done, Declined], frozen=True):
    """Take money, but not for orders whose id ends in `no`."""

    order: str


@command(service="charge-service", effect=Effect.INBOX)
class UndoCharge(Command[Done], frozen=True):
    """Give it back."""

    order: str


asked: set[str] = set()


async def note(ctx: Context, what: str, order: str) -> None:
    """One line in the ledger, in the handler's own transaction."""
    await ctx.tx.execute("insert into effects (what, subject) values ($1, $2)", what, order)


async def reserve(cmd: Reserve, ctx: Context) -> Done:
    """The hesitant one is told to come again, in words that are nobody's business."""
    if cmd.order == HESITANT and cmd.order not in asked:
        asked.add(cmd.order)
        raise RetryLater(f"not now, {SECRET}", code=SECRET)
    await note(ctx, "reserve", cmd.order)
    return Done()


async def release(cmd: UndoReserve, ctx: Context) -> Done:
    """Undo."""
    await note(ctx, "release", cmd.order)
    return Done()


async def charge(cmd: Charge, ctx: Context) -> Done | Declined:
    """Or decline."""
    if cmd.order.endswith("no"):
        return Declined()
    await note(ctx, "charge", cmd.order)
    return Done()


async def refund(cmd: UndoCharge, ctx: Context) -> Done:
    """Undo."""
    await note(ctx, "refund", cmd.order)
    return Done()


MIGRATIONS = Path(__file__).parent / "metered_migrations"
reserving = Participant(
    "reserve-service", [Reserve.handled_by(reserve), UndoReserve.handled_by(release)], migrations=MIGRATIONS
)
charging = Participant(
    "charge-service", [Charge.handled_by(charge), UndoCharge.handled_by(refund)], migrations=MIGRATIONS
)
