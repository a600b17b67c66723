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
@click.option("--reference", multiple=True, help="Run only this reference process; repeatable: saga demo --list.")
@click.option("--definitions", "modules", multiple=True, help="Publish MODULE's definitions first; repeatable.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=STATE_DEFAULT,
    show_default=True,
    help="Folder that everything is kept in.",
)
@click.pass_context
def dev(
    ctx: click.Context, targets: tuple[str, ...], reference: tuple[str, ...], modules: tuple[str, ...], state: Path
) -> None:
    """Run an orchestrator and participants in one process, over SQLite and an in-memory broker, until Ctrl-C.

    Without arguments: all reference processes, with the outside world they act on. Kill it at any moment and start it
    again: it goes on. A participant that is to run in a terminal of its own joins with
    `saga --amqp dev://SERVICE@/folder serve MODULE:OBJECT`. For development; production is `saga run` and `saga serve`
    over RabbitMQ and Postgres.
    """
    from saga.cli import logs
    from saga.demo.reference import PIECES
    from saga.embedded import claimed, place_in
    from saga.participant import SagaFields

    if reference and (targets or modules):
        raise click.UsageError("--reference runs our services. Fix: give it alone, or leave it out")
    for name in reference:
        if name not in PIECES:
            raise click.BadParameter(f"there is no {name!r}. Fix: one of {', '.join(PIECES)}")
    settings = settings_of(ctx)
    level = "warning" if settings.log_level == "info" else settings.log_level
    fields = [SagaFields()]
    logs.configure(level, settings.log_format, settings.log_texts, development=True, fields=fields)
    place = place_in(state)
    with claimed(place):
        asyncio.run(_dev(settings, place, (targets, modules), reference or tuple(PIECES)))
    click.echo("drained")


async def _dev(
    settings: Any, place: Any, given: tuple[tuple[str, ...], tuple[str, ...]], pieces: tuple[str, ...]
) -> None:
    from saga.bootstrap.orchestrators import engine_settings
    from saga.core.errors import DefinitionConflict
    from saga.embedded import Parts, live
    from saga.named import definitions_in, participant_in

    targets, modules = given
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        if targets or modules:
            participants = [participant_in(target) for target in targets]
            parts = Parts(participants, [each for module in modules for each in definitions_in(module)])
            pieces, lines = (), dict[str, str]()
        else:
            parts, lines = await _reference(place, pieces, stack)
        try:
            greet = partial(_greet, place, parts, pieces, lines)
            await live(place, parts, stop, greet, settings=engine_settings(settings))
        except DefinitionConflict as conflict:
            raise CommandFailed(
                conflict.code,
                f"{conflict}; or, while you try things out, begin anew: rm -r {shlex.quote(str(place.folder))}",
            ) from None


async def _reference(place: Any, pieces: tuple[str, ...], stack: AsyncExitStack) -> tuple[Any, dict[str, str]]:
    from saga.demo import reference
    from saga.embedded import Parts

    reference.make_importable()
    world = await stack.enter_async_context(reference.world(pieces, place.folder))
    for name in pieces:
        (place.folder / f"{name}.json").write_bytes(reference.PIECES[name].example(f"my-first-{name}"))
    parts = Parts(reference.participants(pieces), reference.definitions(pieces))
    lines = {
        name: f"{address}  (what it did: {place.folder / reference.WORLD[name].books})"
        for name, address in world.items()
    }
    if people := reference.approvers(pieces):
        told = ", ".join(f"{person} ({' and '.join(roles)})" for person, roles in people.items())
        lines["who decides"] = f"{told}: saga approvals list, and approve with --actor"
    return parts, lines


def _greet(place: Any, parts: Any, pieces: tuple[str, ...], lines: dict[str, str], resent: int) -> None:
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
    click.echo(f"  export SAGA_AMQP={shlex.quote(place.bus)} SAGA_STORE={shlex.quote(place.store)}{_approvers(pieces)}")
    for name in pieces:
        click.echo(f"  {command_name()} start {name} --wait --data @{shlex.quote(str(place.folder / name))}.json")
    click.echo(f"  {command_name()} list\n\nCtrl-C ends it.")
    sys.stdout.flush()


def _approvers(pieces: tuple[str, ...]) -> str:
    """Who may decide, for the commands in the other terminal: they ask their settings."""
    from saga.demo.reference import approvers
    from saga.settings import approvers_as_text

    people = approvers(pieces)
    return f" SAGA_APPROVERS={shlex.quote(approvers_as_text(people))}" if people else ""


def _absent(parts: Any) -> list[str]:
    """Services that the definitions send commands to, without a participant in this process."""
    from saga.core.children import SERVICE
    from saga.core.definition import steps_of

    here = {SERVICE, *(participant.service for participant in parts.participants)}
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
