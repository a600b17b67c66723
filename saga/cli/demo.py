"""`saga demo`: a reference process, live."""

import asyncio
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from saga.cli.dev import command_name
from saga.cli.failure import CommandFailed

PIECE_DEFAULT = "order"


@click.command()
@click.argument("name", required=False)
@click.option("--list", "listing", is_flag=True, help="List the names.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that everything is kept in [default: a new one among the temporary files].",
)
@click.option("--amqp", help="Play over this RabbitMQ, in a vhost for the demo alone: amqp://user:password@host/vhost.")
@click.option(
    "--postgres", help="And this PostgreSQL, in a database for the demo alone: postgres://user@host/database."
)
def demo(name: str | None, state: Path | None, amqp: str | None, postgres: str | None, *, listing: bool) -> None:
    """Watch the reference process NAME: it goes through, is undone, is killed, and people decide, where it has them.

    Without NAME: three orders; one goes through, one is undone in reverse, one survives kill -9 and is charged once.

    Nothing to install: a process of its own runs everything over SQLite and an in-memory broker. With --amqp and
    --postgres each part is a process of its own over real servers. Each line is a stored event. Exit code 0 only if
    the ledgers of the services say what the timeline shows.
    """
    from saga.demo.reference import PIECES
    from saga.demo.screen import Screen

    if listing:
        for each, found in PIECES.items():
            click.echo(f"{each:22} {found.about}")
        return
    piece = name or PIECE_DEFAULT
    if piece not in PIECES:
        raise click.UsageError(f"there is no {piece!r} to show. Fix: one of {', '.join(PIECES)}")
    if (amqp is None) != (postgres is None):
        raise click.UsageError("--amqp and --postgres go together. Fix: give both, or neither")
    folder = state or Path(tempfile.mkdtemp(prefix="saga-demo-"))
    shown, store = asyncio.run(_demo(piece, folder, amqp, postgres, Screen(sys.stdout, os.environ)))
    command = command_name()
    saga = f"{command} --store {shlex.quote(store)}"
    kept = "everything is" if amqp is None else "logs and the books of the outside world are"
    click.echo(f"\n{kept} kept in {folder}; nothing runs any more. Next:")
    click.echo(f"  {saga} list")
    click.echo(f"  {saga} show {shown.sagas[1]}")
    click.echo(f"  {saga} history {shown.sagas[-1]}")
    click.echo(f"  {command} dev --reference {piece}    # the same services, for you to start it")
    if not shown.is_true:
        raise CommandFailed("SAGA-6003", "the ledgers do not say what was shown; see the lines marked above")


async def _demo(piece: str, folder: Path, amqp: str | None, postgres: str | None, screen: Any) -> tuple[Any, str]:
    from saga.demo import reference
    from saga.demo.play import play
    from saga.demo.servers import ManyProcesses
    from saga.demo.town import OneProcess
    from saga.embedded import place_in
    from saga.stores import IDS

    reference.make_importable()
    place = place_in(folder)
    if amqp is None or postgres is None:
        town: OneProcess | ManyProcesses = OneProcess(place, piece)
    else:
        town = ManyProcesses(place.folder, piece, amqp=amqp, postgres=postgres)
    try:
        await town.open()
        if isinstance(town, ManyProcesses):
            screen.say("  ".join(f"{name} {pid}" for name, pid in town.processes().items()), "dim")
        return await play(town, piece, screen, IDS.message()[:6]), town.store
    finally:
        await town.close()
