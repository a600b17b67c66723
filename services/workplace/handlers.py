"""What workplace does. Each handler runs in the transaction that also remembers its answer."""

from uuid import uuid4

from contracts.workplace import (
    AssignDesk,
    BadgeIssued,
    DeskAssigned,
    DeskReleased,
    IssueBadge,
    NoDeskLeft,
    NoPhoto,
    ReleaseDesk,
)
from saga.contract import Context
from services.effects import EffectLedger

EFFECTS = EffectLedger("workplace")


async def assign(cmd: AssignDesk, ctx: Context) -> DeskAssigned | NoDeskLeft:
    """Give away one of the free desks of a site."""
    taken = await ctx.tx.execute(
        "update sites set free = free - 1 where name = $1 and free > 0 returning name", cmd.site
    )
    if not taken:
        return NoDeskLeft(site=cmd.site)
    desk_id = f"desk_{uuid4().hex}"
    await ctx.tx.execute(
        "insert into desks (desk_id, site, employee_id, state) values ($1, $2, $3, 'taken')",
        desk_id,
        cmd.site,
        cmd.employee_id,
    )
    await EFFECTS.record(ctx, "do", subject=cmd.employee_id, detail=desk_id)
    return DeskAssigned(desk_id=desk_id)


async def release(cmd: ReleaseDesk, ctx: Context) -> DeskReleased:
    """Take back what the employee sits at."""
    released = await ctx.tx.execute(
        "update desks set state = 'free' where employee_id = $1 and state = 'taken' returning desk_id, site",
        cmd.employee_id,
    )
    for _, site in sorted(released):
        await ctx.tx.execute("update sites set free = free + 1 where name = $1", site)
    await EFFECTS.record(ctx, "undo", subject=cmd.employee_id, detail=" ".join(sorted(row[0] for row in released)))
    return DeskReleased(desk_count=len(released))


async def badge(cmd: IssueBadge, ctx: Context) -> BadgeIssued | NoPhoto:
    """Print a badge."""
    if not cmd.photo:
        return NoPhoto(employee_id=cmd.employee_id)
    badge_id = f"badge_{uuid4().hex}"
    await ctx.tx.execute("insert into badges (badge_id, employee_id) values ($1, $2)", badge_id, cmd.employee_id)
    await EFFECTS.record(ctx, "do", subject=cmd.employee_id, detail=badge_id)
    return BadgeIssued(badge_id=badge_id)
