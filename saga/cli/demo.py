"""`saga demo`: three orders, live."""

import asyncio
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from saga.cli.dev import command_name


@click.command()
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that everything is kept in [default: a new one among the temporary files].",
)
def demo(state: Path | None) -> None:
    """Watch three orders: one goes through, one is undone in reverse, one survives kill -9 and is charged once.

    Nothing to install: a process of its own runs everything over SQLite and an in-memory broker. Each line is a stored
    event. Exit code 0 only if the ledgers of the services say what the timeline shows.
    """
    from saga.demo.screen import Screen

    folder = state or Path(tempfile.mkdtemp(prefix="saga-demo-"))
    shown = asyncio.run(_demo(folder, Screen(sys.stdout, os.environ)))
    store = f"--store sqlite:///{shlex.quote(str(folder.absolute() / 'saga.sqlite'))}"
    name = command_name()
    click.echo(f"\neverything is kept in {folder}; nothing runs any more. Next:")
    click.echo(f"  {name} {store} list")
    click.echo(f"  {name} {store} show {shown.sagas[1]}")
    click.echo(f"  {name} {store} history {shown.sagas[2]}")
    click.echo(f"  {name} dev                    # the same shop, for you to send orders to")
    if not shown.is_true:
        raise click.ClickException("the ledgers do not say what was shown; see the lines marked above")


async def _demo(folder: Path, screen: Any) -> Any:
    from saga.bootstrap import IDS
    from saga.demo import reference
    from saga.demo.play import play
    from saga.demo.town import OneProcess
    from saga.embedded import place_in

    reference.make_importable()
    town = OneProcess(place_in(folder))
    try:
        await town.open()
        return await play(town, screen, IDS.message()[:6])
    finally:
        await town.close()
