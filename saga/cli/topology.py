"""`saga topology`: exchanges, queues and rights as data."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of

services_option = click.option(
    "--service", "services", multiple=True, help="A participant's name; repeatable [default: of published definitions]."
)


@click.group()
def topology() -> None:
    """What the broker must hold for the published definitions."""


@topology.command()
@services_option
@click.pass_context
def apply(ctx: click.Context, services: tuple[str, ...]) -> None:
    """Declare what is missing; never deletes. Prints what is left to do by hand."""
    settings = settings_of(ctx)
    for command in asyncio.run(_apply(settings, services)):
        click.echo(f"left to do: {command}")


@topology.command()
@services_option
@click.pass_context
def plan(ctx: click.Context, services: tuple[str, ...]) -> None:
    """Say which exchanges and queues are missing; exit code 1 when there are any."""
    missing = asyncio.run(_missing(settings_of(ctx), services))
    for place in missing:
        click.echo(f"missing {place}")
    if missing:
        raise CommandFailed("SAGA-4006", "the broker lacks these. Fix: saga topology apply")
    click.echo("nothing to do")


@topology.command()
@services_option
@click.option("--caller", "callers", multiple=True, help="A user who may start, signal and cancel; repeatable.")
@click.option("--gateway", "gateways", multiple=True, help="A user who may also decide, for people; repeatable.")
@click.option("--vhost", default="/", show_default=True)
@click.option(
    "--passwords",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a line USER:PASSWORD for each user; only hashes are written. Without: certificates only.",
)
@click.pass_context
def export(
    ctx: click.Context,
    /,
    services: tuple[str, ...],
    vhost: str,
    passwords: Path | None,
    **users_of: tuple[str, ...],
) -> None:
    """Print a RabbitMQ definitions file with least-privilege users."""
    from saga.core.definitions_file import definitions_file
    from saga.core.topology import SERVICE, caller, deploy, orchestrator, participant, wanted_topology

    found, names = asyncio.run(_wanted(settings_of(ctx), services))
    users = [orchestrator(), deploy(), *(participant(service) for service in found if service != SERVICE)]
    users += [caller(user, starts=names, signals=names, controls=("cancel",)) for user in users_of["callers"]]
    users += [caller(user, starts=names, signals=names, controls=("cancel", "decide")) for user in users_of["gateways"]]
    click.echo(definitions_file(wanted_topology(found, users), vhost=vhost, password_hashes=_hashes(passwords)))


def _hashes(passwords: Path | None) -> dict[str, str]:
    if passwords is None:
        return {}
    from saga.core.definitions_file import password_hash
    from saga.stores import IDS

    pairs = (line.partition(":") for line in passwords.read_text().splitlines() if line.strip())
    return {user.strip(): password_hash(password, bytes.fromhex(IDS.message()[:8])) for user, _, password in pairs}


async def _wanted(settings: Any, services: Sequence[str]) -> tuple[list[str], list[str]]:
    """Services and saga names: as given, or those of the published definitions."""
    from saga.engine.catalog import Catalog
    from saga.stores import CLOCK, open_store

    if services:
        return sorted(services), []
    store = await open_store(settings.store)
    try:
        catalog = Catalog(store, CLOCK)
        return sorted(await catalog.services()), await catalog.names()
    finally:
        await store.close()


async def _apply(settings: Any, services: Sequence[str]) -> list[str]:
    from saga.adapters.rabbitmq.topology import apply as declare
    from saga.core.topology import wanted_topology

    found, _ = await _wanted(settings, services)
    return await declare(settings.amqp, wanted_topology(found), management_url=settings.amqp_management or None)


async def _missing(settings: Any, services: Sequence[str]) -> list[str]:
    from saga.adapters.rabbitmq.topology import missing
    from saga.core.topology import wanted_topology

    found, _ = await _wanted(settings, services)
    return await missing(settings.amqp, wanted_topology(found))
