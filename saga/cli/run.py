"""`saga run`: orchestrator processes."""

import asyncio
import os
import signal
import sys
from typing import Any

import click

from saga.cli.main import settings_of


@click.command()
@click.option("--processes", type=click.IntRange(1, 64), help="Orchestrator processes to run [default: 1].")
@click.option("--health", help="host:port of /healthz and /readyz; with several processes each takes the next port.")
@click.option("--max-in-flight", type=click.IntRange(1), help="Unanswered commands above which starts wait.")
@click.option("--publish", "modules", multiple=True, help="Publish a module's definitions first. May be repeated.")
@click.pass_context
def run(ctx: click.Context, /, modules: tuple[str, ...], **flags: Any) -> None:
    """Run an orchestrator until SIGTERM, then drain: finish what was taken, publish, acknowledge, leave.

    Any number may run over one store and broker; none leads.
    """
    from saga.cli import logs

    settings = settings_of(ctx, **flags)
    logs.configure(settings.log_level, settings.log_format)
    if modules:
        from saga.cli.definitions import publish_modules

        asyncio.run(publish_modules(settings, modules))
    if settings.processes == 1:
        asyncio.run(_orchestrate(settings))
    else:
        sys.exit(asyncio.run(_supervise(settings)))


async def _orchestrate(settings: Any) -> None:
    import logging

    from saga.adapters.http import HealthServer
    from saga.bootstrap import orchestrator

    log = logging.getLogger("saga")
    async with orchestrator(settings, name=f"orchestrator {os.getpid()}") as engine:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, engine.stop)
        health = engine.health

        def snapshot() -> tuple[bool, dict[str, object]]:
            return health.ready, {
                "ready": health.ready,
                "missing": dict(health.missing),
                "draining": health.draining,
                "commits": health.commits,
                "inputs": health.works,
            }

        server = HealthServer(settings.health, snapshot) if settings.health else None
        if server is not None:
            server.start()
        log.info("orchestrator started", extra={"pid": os.getpid(), "health": settings.health or "off"})
        try:
            await engine.run()
        finally:
            if server is not None:
                server.stop()
        log.info("orchestrator drained", extra={"pid": os.getpid(), "commits": health.commits})


async def _supervise(settings: Any) -> int:
    """Children of this process, each an orchestrator; a dead one is started again, a stop is passed on."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    children = [asyncio.create_task(_child(settings, number, stopping)) for number in range(settings.processes)]
    codes = await asyncio.gather(*children)
    return max(codes)


async def _child(settings: Any, number: int, stopping: asyncio.Event) -> int:
    environment = dict(os.environ)
    environment |= {
        "SAGA_AMQP": settings.amqp,
        "SAGA_STORE": settings.store,
        "SAGA_PROCESSES": "1",
        "SAGA_MAX_IN_FLIGHT": str(settings.max_in_flight),
        "SAGA_GATEWAYS": ",".join(settings.gateways),
        "SAGA_LOG_LEVEL": settings.log_level,
        "SAGA_LOG_FORMAT": settings.log_format,
    }
    if settings.health:
        host, _, port = settings.health.rpartition(":")
        environment["SAGA_HEALTH"] = f"{host}:{int(port) + number}"
    pause = 0.5
    while True:
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "saga.cli", "run", env=environment)
        waiting, stop = asyncio.create_task(child.wait()), asyncio.create_task(stopping.wait())
        await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if stopping.is_set():
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
            return await waiting
        click.echo(f"orchestrator {child.pid} ended with {child.returncode}, starting another", err=True)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 10.0)
