"""`saga parked`: messages nobody could use."""

import asyncio
from typing import Any

import click
import msgspec

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of
from saga.cli.redrive import discard, redrive
from saga.cli.show import output_option, print_json, print_rows


@click.group()
def parked() -> None:
    """Messages nobody could use, kept with the reason and with what was done about them."""


parked.add_command(redrive)
parked.add_command(discard)


@parked.command("list")
@click.option("--queue", help="Only those that came from this queue.")
@click.option("--code", help="Only those parked for this reason.")
@click.option("--settled", is_flag=True, help="Those redriven or discarded, instead of those to be decided on.")
@click.option("--before", type=int, help="Only numbers below this: the last of the page before.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="At most so many.")
@output_option
@click.pass_context
def list_parked(ctx: click.Context, /, output: str, **options: Any) -> None:
    """List them, newest first."""
    from saga.ports import ParkedFilter

    where = ParkedFilter(origin=options["queue"], reason=options["code"], settled=options["settled"])
    rows = [
        {
            "id": row.id,
            "at": row.at,
            "origin": row.message.origin,
            "reason": row.message.reason,
            "detail": row.message.detail,
            "sender": row.message.sender,
            "bytes": len(row.message.body),
            "settled": row.settled,
        }
        for row in asyncio.run(_parked(settings_of(ctx), where, options["before"], options["limit"]))
    ]
    print_rows(output, rows, "id")
    if output == "table" and rows and not options["settled"]:
        click.echo("next: saga parked show ID, then saga parked redrive or discard", err=True)


@parked.command()
@click.argument("number", type=int)
@click.pass_context
def show(ctx: click.Context, number: int) -> None:
    """Show one whole, with what was done about it."""
    from saga.ports import ParkedFilter

    rows = asyncio.run(_parked(settings_of(ctx), ParkedFilter(ids=(number,)), None, 1))
    if not rows:
        raise CommandFailed("SAGA-3004", f"there is no parked message {number}. Fix: saga parked list")
    [row] = rows
    message = msgspec.structs.asdict(row.message)
    message["body"] = row.message.body.decode(errors="backslashreplace")
    print_json({"id": number, "at": row.at, **message, "settled": row.settled, "actions": row.actions})


async def _parked(settings: Any, where: Any, before: int | None, limit: int) -> Any:
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        return await store.parked(where, before=before, limit=limit)
    finally:
        await store.close()
