"""`saga db` and `saga inbox`: tables."""

import asyncio
from typing import Any

import click

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of


@click.group()
def db() -> None:
    """The engine's store."""


@db.command()
@click.pass_context
def migrate(ctx: click.Context) -> None:
    """Create or update the tables: forward only, under a lock, safe to run from several places at once."""
    applied = asyncio.run(_migrate(settings_of(ctx)))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to do")


@db.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Say which migrations are missing; exit code 1 when there are any."""
    pending = asyncio.run(_pending(settings_of(ctx)))
    for name in pending:
        click.echo(f"missing {name}")
    if pending:
        raise CommandFailed("SAGA-4006", "the store is not up to date. Fix: saga db migrate")
    click.echo("up to date")


async def _migrate(settings: Any) -> list[str]:
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        return list(await store.migrate())
    finally:
        await store.close()


async def _pending(settings: Any) -> list[str]:
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        return list(await store.pending())
    finally:
        await store.close()


@click.group()
def inbox() -> None:
    """The inbox tables, which live in each service's own database."""


@inbox.command()
@click.option(
    "--dialect",
    type=click.Choice(["postgres", "sqlite"]),
    default="postgres",
    show_default=True,
    help="Of the service's database.",
)
def sql(dialect: str) -> None:
    """Print the statements, for teams with a migration tool of their own."""
    from saga.bootstrap.participants import inbox_sql

    click.echo(inbox_sql(dialect))
