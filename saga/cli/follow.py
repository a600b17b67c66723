"""`saga follow`: what is told of the history, by a process of its own."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import click

from saga.cli.main import settings_of

LEAVE_SECONDS = 5.0
"""For the batch under way; one that takes longer is left, and delivered again by whoever follows next."""


@click.command()
@click.option("--health", help="host:port of /healthz, /readyz and /metrics.")
@click.pass_context
def follow(ctx: click.Context, /, **flags: Any) -> None:
    """Follow the history until SIGTERM, and publish lifecycle events on saga.events.

    `saga run` does this too, unless it is told --no-follow. Of all processes that follow one store, one is at work and
    the others stand by. What cannot be published now waits in the history. While the broker or the store is away, it
    says so and is not ready.
    """
    from saga.cli import logs

    settings = settings_of(ctx, **flags)
    logs.configure(settings.log_level, settings.log_format, settings.log_texts)
    asyncio.run(_follow(settings))


async def _follow(settings: Any) -> None:
    import logging

    from saga.cli.metrics import counted
    from saga.cli.patience import Patience, stop_signals
    from saga.cli.run import serving_health

    log = logging.getLogger("saga")
    stop = stop_signals()
    patience = Patience(stop)
    reports: list[Callable[[], dict[str, dict[str, str]]]] = []

    def report() -> dict[str, object]:
        found = reports[-1]() if reports else {}
        working = all("trouble" not in each and each["state"] != "starting" for each in found.values())
        ready = bool(found) and working and not patience.missing and not stop.is_set()
        return patience.report() | {"ready": ready, "following": found}

    with counted(settings, "saga", report) as tallies, serving_health(settings.health, report, tallies):
        async with followed(settings, tallies) as following:
            reports.append(following)
            if await patience.wait_for("broker", lambda: _look_at_broker(settings)):
                log.info("follower started", extra={"pid": os.getpid(), "health": settings.health or "off"})
                await stop.wait()
    log.info("follower stopped", extra={"pid": os.getpid()})


async def _look_at_broker(settings: Any) -> bool:
    """Events connect only when there is something to publish: a login that never works is to be seen before.

    Raises WrongAddress, Unavailable.
    """
    from saga.bootstrap.brokers import open_bus

    await (await open_bus(settings.amqp, name=f"follower {os.getpid()}")).close()
    return True


@asynccontextmanager
async def followed(settings: Any, tallies: Any = None) -> AsyncIterator[Callable[[], dict[str, dict[str, str]]]]:
    """Follow as long as this lasts; gives what says how it goes. Whatever happens to it, it disturbs nobody."""
    from saga.bootstrap.orchestrators import following

    async with following(settings, name=f"follower {os.getpid()}", tallies=tallies) as loops:
        work = asyncio.create_task(loops.run(), name="follow")
        try:
            yield loops.report
        finally:
            loops.stop()
            await asyncio.wait({work}, timeout=LEAVE_SECONDS)
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
