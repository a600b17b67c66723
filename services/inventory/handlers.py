"""What inventory does. Each handler runs in the transaction that also remembers its answer."""

from contracts.inventory import Line, OutOfStock, ReleaseStock, ReserveStock, StockReleased, StockReserved
from saga.contract import Context
from services.effects import EffectLedger

EFFECTS = EffectLedger("inventory")


async def reserve(cmd: ReserveStock, ctx: Context) -> StockReserved | OutOfStock:
    """Hold every line, or none."""
    lines = sorted(cmd.lines, key=lambda line: line.sku)  # one order for everybody: two orders cannot deadlock
    for taken_count, line in enumerate(lines):
        if not await _take(ctx, line):
            # A refusal commits like an answer does, so what was taken for the lines before goes back by hand.
            for taken in lines[:taken_count]:
                await _give_back(ctx, taken.sku, taken.unit_count)
            return OutOfStock(sku=line.sku, available_count=await _available(ctx, line.sku))
    for line in lines:
        await ctx.tx.execute(
            "insert into reservations (order_id, sku, unit_count, state) values ($1, $2, $3, 'held')",
            cmd.order_id,
            line.sku,
            line.unit_count,
        )
    unit_count = sum(line.unit_count for line in lines)
    await EFFECTS.record(ctx, "do", subject=cmd.order_id, detail=str(unit_count))
    return StockReserved(unit_count=unit_count)


async def release(cmd: ReleaseStock, ctx: Context) -> StockReleased:
    """Give back what the order holds. The order id says enough: this never needs to see what was reserved."""
    held = await ctx.tx.execute(
        "update reservations set state = 'released' where order_id = $1 and state = 'held' returning sku, unit_count",
        cmd.order_id,
    )
    for sku, unit_count in sorted(held):
        await _give_back(ctx, sku, unit_count)
    total = sum(unit_count for _, unit_count in held)
    await EFFECTS.record(ctx, "undo", subject=cmd.order_id, detail=str(total))
    return StockReleased(unit_count=total)


async def _take(ctx: Context, line: Line) -> bool:
    rows = await ctx.tx.execute(
        "update stock set available = available - $2 where sku = $1 and available >= $2 returning sku",
        line.sku,
        line.unit_count,
    )
    return bool(rows)


async def _give_back(ctx: Context, sku: str, unit_count: int) -> None:
    await ctx.tx.execute("update stock set available = available + $2 where sku = $1", sku, unit_count)


async def _available(ctx: Context, sku: str) -> int:
    rows: list[tuple[int]] = await ctx.tx.execute("select available from stock where sku = $1", sku)
    return rows[0][0] if rows else 0
