"""`saga parked`: messages nobody could use."""

import asyncio
from typing import Any

import click
import msgspec

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of
from saga.cli.show import output_option, print_json, print_rows


@click.group()
def parked() -> None:
    """Messages nobody could use, kept with the reason."""


@parked.command("list")
@click.option("--before", type=int, help="Only numbers below this: the last of the page before.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@output_option
@click.pass_context
def list_parked(ctx: click.Context, before: int | None, limit: int, output: str) -> None:
    """List them, newest first."""
    rows = [
        {
            "id": row.id,
            "at": row.at,
            "origin": row.message.origin,
            "reason": row.message.reason,
            "detail": row.message.detail,
            "sender": row.message.sender,
            "bytes": len(row.message.body),
        }
        for row in asyncio.run(_parked(settings_of(ctx), before, limit))
    ]
    print_rows(output, rows, "id")


@parked.command()
@click.argument("number", type=int)
@click.pass_context
def show(ctx: click.Context, number: int) -> None:
    """Show one whole."""
    rows = asyncio.run(_parked(settings_of(ctx), number + 1, 1))
    if not rows or rows[0].id != number:
        raise CommandFailed("SAGA-3004", f"there is no parked message {number}. Fix: saga parked list")
    message = msgspec.structs.asdict(rows[0].message)
    message["body"] = rows[0].message.body.decode(errors="backslashreplace")
    print_json({"id": number, "at": rows[0].at, **message})


async def _parked(settings: Any, before: int | None, limit: int) -> Any:
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        return await store.parked(before=before, limit=limit)
    finally:
        await store.close()
