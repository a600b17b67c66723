"""A saga of every structure, whose last branch fails when the others are in the middle of their work; and its service.

The service is called `guest`, as the one user of the test broker. Its ledger has no unique key: what happens twice is
there twice.
"""

import asyncio
from datetime import timedelta
from typing import Final

import msgspec

from saga import Command, Context, Effect, Failure, On, Participant, Retry, Saga, command, define

LEDGER: Final = """
create table ledger (
    sequence bigint generated always as identity,
    family text not null,
    step text not null,
    what text not null,
    key text not null
)
"""
"""What the service did, in order; `family` is the root's business key, `step` a path from the root."""

ATTEMPT: Final = timedelta(seconds=20)
SOON: Final = Retry(attempts=50, first=timedelta(milliseconds=100), cap=timedelta(milliseconds=400))
WORK_SECONDS: Final = 0.03
HOLD_SECONDS_MAX: Final = 4.0
AFTER_SECONDS: Final = 0.3
DECLINE_SECONDS_MAX: Final = 3.0
POLL_SECONDS: Final = 0.03
DO, HOLD, DECLINE = "do", "hold", "decline"
BEGUN_COUNT: Final = 11
"""Effects of a saga that are there when its last branch fails."""


class Order(msgspec.Struct, frozen=True):
    id: str
    items: list[str] = msgspec.field(default_factory=lambda: [DO, HOLD])
    """What the second step of each item does."""
    slow: str = HOLD
    """What else is in flight when the last branch fails."""
    last: str = DECLINE


class Part(msgspec.Struct, frozen=True):
    """The input of a sub-saga."""

    id: str
    where: str
    how: str = DO


class Done(msgspec.Struct, frozen=True):
    id: str


class Declined(Failure, frozen=True):
    pass


@command(service="guest", effect=Effect.INBOX)
class Work(Command[Done, Declined], frozen=True):
    """`where` is the path of the saga in its family: empty for the root."""

    id: str
    where: str = ""
    how: str = DO


@command(service="guest", effect=Effect.INBOX)
class Unwork(Command[Done], frozen=True):
    id: str
    where: str = ""


@define("ready", version=1)
def ready(s: Saga, part: Part) -> Done:
    """A sub-saga that completes."""
    work, undo = Work(id=part.id, where=part.where), Unwork(id=part.id, where=part.where)
    s.step("pack", work, undo=undo, retry=SOON)
    labelled = s.step("label", work, undo=undo, retry=SOON)
    return Done(id=labelled.id)


@define("slow", version=1)
def slow(s: Saga, part: Part) -> Done:
    """A sub-saga that is in the middle of its second step when its parent fails."""
    undo = Unwork(id=part.id, where=part.where)
    s.step("begin", Work(id=part.id, where=part.where), undo=undo, retry=SOON)
    hold = Work(id=part.id, where=part.where, how=part.how)
    held = s.step("hold", hold, undo=undo, retry=SOON, timeout=ATTEMPT)
    return Done(id=held.id)


@define("built", version=1)
def built(s: Saga, order: Order) -> Done:
    """Done: two steps, a sub-saga, half a map, half a nested block. In flight: a step of each, a sub-saga."""
    s.key(order.id)
    work, undo = Work(id=order.id), Unwork(id=order.id)
    hold = Work(id=order.id, how=order.slow)
    s.step("reserve", work, undo=undo, retry=SOON)
    s.child("access", ready, Part(id=order.id, where="access/"), undo=On.CANCEL)
    s.step("charge", work, undo=undo, retry=SOON)
    with s.parallel("both") as branch:
        with branch("left"), s.each("items", order.items, limit=5) as item:
            s.step("mark", work, undo=undo, retry=SOON)
            s.step("stamp", Work(id=order.id, how=item), undo=undo, retry=SOON, timeout=ATTEMPT)
        with branch("middle"):
            s.child("slowly", slow, Part(id=order.id, where="slowly/", how=order.slow), undo=On.CANCEL)
        with branch("right"), s.parallel("deep") as inner:
            with inner("one"):
                s.step("first", work, undo=undo, retry=SOON)
                s.step("held", hold, undo=undo, retry=SOON, timeout=ATTEMPT)
            with inner("two"):
                s.step("second", work, undo=undo, retry=SOON)
        with branch("bad"):
            s.step("try", work, undo=undo, retry=SOON)
            s.step("fail", Work(id=order.id, how=order.last), undo=undo, retry=SOON, timeout=ATTEMPT)
    s.step("never", work, undo=undo, retry=SOON)
    return Done(id=order.id)


@define("letter", version=1, deadline=timedelta(days=9))
def letter(s: Saga, order: Order) -> Done:
    """Somebody has a week to approve what is sent, and is told again every day."""
    s.key(order.id)
    s.step("draft", Work(id=order.id), undo=Unwork(id=order.id), retry=SOON)
    approved = s.approval(
        "review", Work(id=order.id), roles=["editor"], remind=timedelta(days=1), expires=timedelta(days=7)
    )
    sent = s.step("send", approved.subject, undo=Unwork(id=order.id), retry=SOON)
    return Done(id=sent.id)


async def do(cmd: Work, ctx: Context) -> Done | Declined:
    """Do it, be slow about it, or refuse once everything else has come as far as it should."""
    match cmd.how:
        case "hold":
            await _held(cmd, ctx)
        case "decline":
            await _others_begun(cmd, ctx)
            await _write(cmd, ctx, "decline")
            return Declined()
        case _:
            await asyncio.sleep(WORK_SECONDS)
    await _write(cmd, ctx, "do")
    return Done(id=cmd.id)


async def undo(cmd: Unwork, ctx: Context) -> Done:
    """Always; and always on the ledger, whatever the inbox says was there to undo."""
    await asyncio.sleep(WORK_SECONDS)
    await _write(cmd, ctx, "undo")
    return Done(id=cmd.id)


async def _held(cmd: Work, ctx: Context) -> None:
    """In flight until its undo comes to this process; or a while longer than the failure, if it comes to another."""
    for _ in range(round(HOLD_SECONDS_MAX / POLL_SECONDS)):
        if ctx.cancelled:
            return
        if await ctx.tx.execute("select from ledger where family = $1 and what = 'decline'", cmd.id):
            await asyncio.sleep(AFTER_SECONDS)
            return
        await asyncio.sleep(POLL_SECONDS)


async def _others_begun(cmd: Work, ctx: Context) -> None:
    """Until the ledger shows what is to be there; not for ever, where processes die."""
    for _ in range(round(DECLINE_SECONDS_MAX / POLL_SECONDS)):
        done = await ctx.tx.execute("select count(*) from ledger where family = $1 and what = 'do'", cmd.id)
        if done[0][0] >= BEGUN_COUNT:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _write(cmd: Work | Unwork, ctx: Context, what: str) -> None:
    row = (cmd.id, cmd.where + ctx.step, what, ctx.key)
    await ctx.tx.execute("insert into ledger (family, step, what, key) values ($1, $2, $3, $4)", *row)


participant = Participant("guest", [Work.handled_by(do), Unwork.handled_by(undo)])
