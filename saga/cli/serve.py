"""`saga serve`: a participant process."""

import asyncio
import os
import signal
from typing import Any

import click

from saga.cli.main import settings_of


@click.command()
@click.argument("target", metavar="MODULE:OBJECT")
@click.option("--database", help="The service's own database: postgres://… or sqlite:///path.")
@click.option("--migrate", is_flag=True, help="Create or update the inbox and the service's own tables first.")
@click.option("--health", help="host:port of /healthz and /readyz.")
@click.pass_context
def serve(ctx: click.Context, /, target: str, migrate: bool, **flags: Any) -> None:  # noqa: FBT001 - a click flag
    """Run the participant MODULE:OBJECT (a Participant, or a function that returns one) until SIGTERM, then drain.

    Any number of processes may serve one participant: they share its queue and its database.
    """
    from saga.bootstrap import load_object
    from saga.cli import logs
    from saga.participant import participant_of

    settings = settings_of(ctx, **flags)
    logs.configure(settings.log_level, settings.log_format)
    try:
        participant = participant_of(load_object(target))
    except TypeError as error:
        raise click.ClickException(str(error)) from None
    asyncio.run(_serve(settings, participant, migrate=migrate))


async def _serve(settings: Any, participant: Any, *, migrate: bool) -> None:
    import logging

    from saga.adapters.http import HealthServer
    from saga.bootstrap import serving
    from saga.participant import run

    log = logging.getLogger("saga")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with serving(settings, participant, name=f"{participant.service} {os.getpid()}", migrate=migrate) as (
        at_work,
        bus,
    ):
        health = (
            HealthServer(settings.health, lambda: (True, {"service": participant.service})) if settings.health else None
        )
        if health is not None:
            health.start()
        log.info("participant started", extra={"service": participant.service, "pid": os.getpid()})
        try:
            await run(at_work, bus, stop)
        finally:
            if health is not None:
                health.stop()
        log.info("participant drained", extra={"service": participant.service, "pid": os.getpid()})
