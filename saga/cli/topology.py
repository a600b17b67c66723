"""`saga topology`: exchanges, queues and rights as data."""

import asyncio
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of
from saga.cli.show import output_option, print_rows

services_option = click.option(
    "--service", "services", multiple=True, help="A participant's name; repeatable [default: of published definitions]."
)
callers_option = click.option(
    "--caller", "callers", multiple=True, help="A caller's user, who may start, signal and cancel; repeatable."
)

gateways_option = click.option(
    "--gateway", "gateways", multiple=True, help="A user who may also decide, for people; repeatable."
)

subscribers_option = click.option(
    "--subscriber", "subscribers", multiple=True, help="A user who may hear lifecycle events; repeatable."
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
@callers_option
@gateways_option
@subscribers_option
@click.option("--vhost", default="/", show_default=True, help="Where the objects and rights belong.")
@click.option(
    "--passwords",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a line USER:PASSWORD for each user; only hashes are written. Without: certificates only.",
)
@click.pass_context
def export(ctx: click.Context, /, vhost: str, passwords: Path | None, **named: Any) -> None:
    """Print a RabbitMQ definitions file with least-privilege users."""
    from saga.core.definitions_file import definitions_file

    wanted = asyncio.run(_with_users(settings_of(ctx), **named))
    click.echo(definitions_file(wanted, vhost=vhost, password_hashes=_hashes(passwords, wanted.users)))


@topology.command()
@services_option
@callers_option
@gateways_option
@subscribers_option
@click.option("--no-users", is_flag=True, help="Leave users and their rights out: only an administrator may see them.")
@click.option("--management", help="Management API, http://host:15672 [default: the broker's host and login].")
@output_option
@click.pass_context
def diff(ctx: click.Context, /, output: str, *, management: str | None, no_users: bool, **named: Any) -> None:
    """Say what on the broker is not as wanted; exit code 1 when there is anything.

    Exchanges, queues, bindings, policies, and what each user may do: missing, different, or there though nobody wants
    it. Reads the management API, and changes nothing. Name callers and subscribers as for `export`, or they are extra.
    """
    settings = settings_of(ctx, amqp_management=management)
    wanted = asyncio.run(_with_users(settings, **named))
    found = asyncio.run(_difference(settings, wanted, users=not no_users))
    if output == "table":
        _lines(found)
    else:
        print_rows(output, [{"kind": one.kind, "what": one.what, "detail": one.detail} for one in found], "what")
    if found:
        count = f"{len(found)} thing{'s are' if len(found) > 1 else ' is'} not as wanted"
        fix = "saga topology apply for what is missing; saga topology export and import for users; the rest by hand"
        raise CommandFailed("SAGA-4006", f"{count}. Fix: {fix}")


def _lines(found: Any) -> None:
    for one in found:
        click.echo(f"{one.kind:<8} {one.what}")
        if one.detail:
            click.echo(f"         {one.detail}")
    if not found:
        click.echo("as wanted")


async def _with_users(
    settings: Any,
    services: Sequence[str],
    callers: Sequence[str],
    gateways: Sequence[str],
    subscribers: Sequence[str],
) -> Any:
    from saga.core.topology import SERVICE, caller, deploy, orchestrator, participant, subscriber, wanted_topology

    found, names = await _wanted(settings, services, named=bool(callers or gateways))
    users = [orchestrator(), deploy(), *(participant(service) for service in found if service != SERVICE)]
    users += [caller(user, starts=names, signals=names, controls=("cancel",)) for user in callers]
    users += [caller(user, starts=names, signals=names, controls=("cancel", "decide")) for user in gateways]
    users += map(subscriber, subscribers)
    return wanted_topology(found, users)


async def _difference(settings: Any, wanted: Any, *, users: bool) -> Any:
    import msgspec

    from saga.adapters.rabbitmq.topology import read
    from saga.core.difference import difference
    from saga.settings import masked
    from saga.stores import WrongAddress

    if not settings.amqp.startswith(("amqp://", "amqps://")):
        raise WrongAddress(
            f"{masked(settings.amqp)!r} has no management API. Fix: amqp://user:password@host:port/vhost"
        )
    actual = await read(settings.amqp, settings.amqp_management, users=users)
    return difference(wanted if users else msgspec.structs.replace(wanted, users=()), actual)


def _hashes(passwords: Path | None, users: Sequence[Any]) -> dict[str, str]:
    if passwords is None:
        return {}
    from saga.core.definitions_file import password_hash
    from saga.stores import IDS

    found = _passwords(passwords)
    names = [user.name for user in users]
    # One file may serve several exports, and a user may log in with a certificate: said, and not refused.
    if missing := [name for name in names if name not in found]:
        click.echo(f"{passwords}: no password, so a certificate only, for {', '.join(missing)}", err=True)
    if unknown := [name for name in found if name not in names]:
        click.echo(f"{passwords}: nobody here is called {', '.join(unknown)}", err=True)
    return {user: password_hash(password, bytes.fromhex(IDS.message()[:8])) for user, password in found.items()}


def _passwords(file: Path) -> dict[str, str]:
    """By user. Raises CommandFailed, which names the line and never what is in it."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed("SAGA-1005", f"{file} cannot be read: {error}. Fix: lines of USER:PASSWORD") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        user, _, password = line.partition(":")
        user = user.strip()
        if (reason := _objection(user, password, found)) is not None:
            raise CommandFailed("SAGA-1005", f"{file}, line {number}: {reason}. Fix: USER:PASSWORD, each user once")
        found[user] = password
    return found


def _objection(user: str, password: str, found: Container[str]) -> str | None:
    """Why this is no password that anybody meant."""
    if not user or not password:
        return "it is not USER:PASSWORD, and an empty password would let anybody in"
    if password != password.strip():
        return "the password begins or ends with a blank"
    return "the user has a password already" if user in found else None


async def _wanted(settings: Any, services: Sequence[str], *, named: bool = False) -> tuple[list[str], list[str]]:
    """Services as given, or those of the published definitions; and the sagas' names, if they are to be `named` or the
    store is asked anyway."""
    from saga.engine.catalog import Catalog
    from saga.stores import CLOCK, open_store

    if services and not named:
        return sorted(services), []
    store = await open_store(settings.store)
    try:
        catalog = Catalog(store, CLOCK)
        return sorted(services or await catalog.services()), await catalog.names()
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
