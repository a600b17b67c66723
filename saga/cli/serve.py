"""`saga serve`: a participant process."""

import asyncio
import os
from typing import Any

import click

from saga.cli.main import settings_of


@click.command()
@click.argument("target", metavar="MODULE:OBJECT")
@click.option("--database", help="The service's own database: postgres://… or sqlite:///path.")
@click.option("--migrate", is_flag=True, help="Create or update the inbox and the service's own tables first.")
@click.option("--health", help="host:port of /healthz, /readyz and /metrics.")
@click.pass_context
def serve(ctx: click.Context, /, target: str, migrate: bool, **flags: Any) -> None:  # noqa: FBT001 - a click flag
    """Run the participant MODULE:OBJECT (a Participant, or a function that returns one) until SIGTERM, then drain.

    While the broker or the database is away it waits, says so, and is not ready. Any number of processes may serve one
    participant: they share its queue and its database.
    """
    from saga.cli import logs, loop
    from saga.named import participant_in
    from saga.participant import SagaFields

    settings = settings_of(ctx, **flags)
    logs.configure(settings.log_level, settings.log_format, settings.log_texts, fields=[SagaFields()])
    participant = participant_in(target)
    if migrate and participant.database is not None:
        reason = f"{target} brings a database of its own, which --migrate does not reach"
        raise click.UsageError(f"{reason}. Fix: leave --migrate, and apply `saga inbox sql` with your own migrations")
    loop.run(_serve(settings, participant, migrate=migrate), settings.event_loop)


def _look_at_user(amqp: str, service: str) -> None:
    """Replies count only from the broker user of the service's own name: anybody else would answer for nothing."""
    import logging
    from urllib.parse import unquote, urlsplit

    address = urlsplit(amqp)
    user = unquote(address.username or "guest")
    if user != service and address.scheme in ("amqp", "dev") and "auth=" not in address.query:
        fix = f"log in as the user {service}; saga topology export writes it with its rights"
        about = {"code": "SAGA-5010", "user": user, "service": service, "fix": fix}
        logging.getLogger("saga").warning("no orchestrator will believe the replies", extra=about)


async def _serve(settings: Any, participant: Any, *, migrate: bool) -> None:
    import logging
    from contextlib import AsyncExitStack

    from saga.bootstrap.participants import serving
    from saga.cli.loop import name_of
    from saga.cli.metrics import counted
    from saga.cli.patience import Patience, stop_signals
    from saga.cli.run import serving_health
    from saga.participant import run
    from saga.participant.health import Health

    log = logging.getLogger("saga")
    stop = stop_signals()
    patience = Patience(stop)
    name = f"{participant.service} {os.getpid()}"
    about: dict[str, object] = {"service": participant.service}
    health = Health(participant.queue)

    def report() -> dict[str, object]:
        missing = dict(patience.missing) or health.missing
        return {"ready": not (missing or stop.is_set()), "missing": missing, "draining": stop.is_set(), **about}

    async with AsyncExitStack() as stack:
        tallies = stack.enter_context(counted(settings, participant.service, report))
        stack.enter_context(serving_health(settings.health, report, tallies))

        async def opened() -> tuple[Any, Any]:
            return await stack.enter_async_context(
                serving(settings, participant, name=name, migrate=migrate, tallies=tallies)
            )

        found = await patience.wait_for("broker or database", opened)
        if found is None:
            return
        at_work, bus = found
        _look_at_user(settings.amqp, participant.service)
        runs_on = name_of(asyncio.get_running_loop())
        log.info("participant started", extra={**about, "pid": os.getpid(), "loop": runs_on})
        await run(at_work, bus, stop, health=health)
        log.info("participant drained", extra={**about, "pid": os.getpid()})
