"""`saga dev`: everything in one process, nothing to install."""

import asyncio
import os
import shlex
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of

STATE_DEFAULT = ".saga"


@click.command()
@click.argument("targets", nargs=-1, metavar="[MODULE:PARTICIPANT]...")
@click.option("--definitions", "modules", multiple=True, help="Publish MODULE's definitions first; repeatable.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=STATE_DEFAULT,
    show_default=True,
    help="Folder that everything is kept in.",
)
@click.pass_context
def dev(ctx: click.Context, targets: tuple[str, ...], modules: tuple[str, ...], state: Path) -> None:
    """Run an orchestrator and participants in one process, over SQLite and an in-memory broker, until Ctrl-C.

    Without arguments: the reference shop, with its carrier and its mail server. Kill it at any moment and start it
    again: it goes on. A participant that is to run in a terminal of its own joins with
    `saga --amqp dev://SERVICE@/folder serve MODULE:OBJECT`. For development; production is `saga run` and `saga serve`
    over RabbitMQ and Postgres.
    """
    from saga.cli import logs
    from saga.embedded import claimed, place_in

    settings = settings_of(ctx)
    logs.configure("warning" if settings.log_level == "info" else settings.log_level, settings.log_format)
    place = place_in(state)
    with claimed(place):
        asyncio.run(_dev(settings, place, targets, modules))
    click.echo("drained")


async def _dev(settings: Any, place: Any, targets: tuple[str, ...], modules: tuple[str, ...]) -> None:
    from saga.bootstrap import engine_settings
    from saga.core.errors import DefinitionConflict
    from saga.embedded import Parts, live
    from saga.named import definitions_in, participant_in

    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        if targets or modules:
            participants = [participant_in(target) for target in targets]
            parts = Parts(participants, [each for module in modules for each in definitions_in(module)])
            lines: dict[str, str] = {}
        else:
            parts, lines = await _reference(place, stack)
        try:
            greet = partial(_greet, place, parts, lines)
            await live(place, parts, stop, greet, settings=engine_settings(settings))
        except DefinitionConflict as conflict:
            raise CommandFailed(
                conflict.code,
                f"{conflict}; or, while you try things out, begin anew: rm -r {shlex.quote(str(place.folder))}",
            ) from None


async def _reference(place: Any, stack: AsyncExitStack) -> tuple[Any, dict[str, str]]:
    from saga.demo import reference
    from saga.embedded import Parts

    reference.make_importable()
    world = await stack.enter_async_context(reference.world(place.folder))
    (place.folder / "order.json").write_bytes(reference.example_order("my-first-order"))
    parts = Parts(reference.participants(), reference.definitions())
    return parts, {
        "carrier": f"{world.carrier}  (PUT /settings makes it misbehave)",
        "mail server": f"{world.smtp}  (what it took: {place.folder / 'mail.jsonl'})",
    }


def _greet(place: Any, parts: Any, lines: dict[str, str], resent: int) -> None:
    """Say where everything is and what to type next."""
    services = ", ".join(participant.service for participant in parts.participants)
    sagas = ", ".join(f"{definition.name} v{definition.version}" for definition in parts.definitions)
    rows = {
        "state": f"{place.folder}  (kept: kill this process and start it again, and it goes on)",
        "services": services or "none in this process",
        "sagas": sagas or "those published before",
        **lines,
    }
    if absent := _absent(parts):
        rows["not here"] = f"{', '.join(absent)}: what is sent there waits until `saga dev` or `saga serve` runs it"
    click.echo(f"saga dev is ready, process {os.getpid()}")
    for name, text in rows.items():
        click.echo(f"  {name:12} {text}")
    if resent:
        click.echo(f"  sent again   {resent} commands of sagas that were under way")
    click.echo("\nin another terminal:")
    click.echo(f"  export SAGA_AMQP={shlex.quote(place.bus)} SAGA_STORE={shlex.quote(place.store)}")
    if "carrier" in lines:
        click.echo(f"  {command_name()} start order --wait --data @{shlex.quote(str(place.folder / 'order.json'))}")
    click.echo(f"  {command_name()} list\n\nCtrl-C ends it.")
    sys.stdout.flush()


def _absent(parts: Any) -> list[str]:
    """Services that the definitions send commands to, without a participant in this process."""
    from saga.core.definition import steps_of

    here = {participant.service for participant in parts.participants}
    asked = {step.command.service for each in parts.definitions for step in steps_of(each.compiled.blocks)}
    return sorted(asked - here)


def command_name() -> str:
    """How this command is called from here: `saga`, or the path to it."""
    import shutil

    called = Path(sys.argv[0])
    found = shutil.which("saga")
    if called.name != "saga" or (found is not None and Path(found).resolve() == called.resolve()):
        return "saga"
    return shlex.quote(os.path.relpath(called))
