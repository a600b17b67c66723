"""`saga run`: orchestrator processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import click

from saga.cli.failure import CommandFailed, Exit
from saga.cli.main import settings_of

RESTART_FIRST_SECONDS = 0.5
RESTART_MAX_SECONDS = 10.0
STEADY_SECONDS = 60.0
"""Whoever has run this long is not dying of its start: the next one need not wait."""


@click.command()
@click.option("--processes", type=click.IntRange(1, 64), help="Orchestrator processes to run [default: 1].")
@click.option(
    "--health", help="host:port of /healthz, /readyz and /metrics; of several processes each takes the next port."
)
@click.option("--max-in-flight", type=click.IntRange(1), help="Unanswered commands above which starts wait.")
@click.option("--follow/--no-follow", default=None, help="Publish lifecycle events too [default: follow].")
@click.option("--publish", "modules", multiple=True, help="Publish a module's definitions first. May be repeated.")
@click.option("--supervised", is_flag=True, hidden=True, help="End when standard input does: with whoever began this.")
@click.pass_context
def run(ctx: click.Context, /, modules: tuple[str, ...], *, supervised: bool, **flags: Any) -> None:
    """Run an orchestrator until SIGTERM, then drain: finish what was taken, publish, acknowledge, leave.

    Any number may run over one store and broker; none leads. While the broker or the store is away, or not migrated,
    it waits, says so, and is not ready.
    """
    from saga.cli import logs, loop

    settings = settings_of(ctx, **flags)
    logs.configure(settings.log_level, settings.log_format, settings.log_texts)
    if settings.processes == 1:
        loop.run(_orchestrate(settings, modules, supervised=supervised), settings.event_loop)
    else:
        sys.exit(asyncio.run(_supervise(settings, modules)))


async def _orchestrate(settings: Any, modules: tuple[str, ...], *, supervised: bool) -> None:
    import logging

    from saga.bootstrap.brokers import open_bus
    from saga.bootstrap.orchestrators import orchestrator
    from saga.cli.loop import name_of
    from saga.cli.metrics import counted
    from saga.cli.patience import Patience, stop_signals

    log = logging.getLogger("saga")
    stop = stop_signals()
    if supervised:
        _stop_at_end_of_input(stop)
    patience = Patience(stop)
    reports: list[Callable[[], dict[str, object]]] = [patience.report]
    pid = os.getpid()

    def report() -> dict[str, object]:
        return reports[-1]()

    with counted(settings, "saga", report) as tallies, serving_health(settings.health, report, tallies):
        if modules:
            await _publish(settings, modules, patience)
        bus = await patience.wait_for("broker", lambda: open_bus(settings.amqp, name=f"orchestrator {pid}"))
        if bus is None:
            return
        async with _followed(settings, tallies) as following, orchestrator(settings, bus, tallies) as engine:
            reports.append(lambda: engine.health.report() | {"following": following()})
            stopping = asyncio.create_task(_pass_on(stop, engine.stop))
            about = {"pid": pid, "health": settings.health or "off", "loop": name_of(asyncio.get_running_loop())}
            log.info("orchestrator started", extra=about)
            try:
                await engine.run()
            finally:
                stopping.cancel()
            log.info("orchestrator drained", extra={"pid": pid, "commits": engine.health.commits})


@asynccontextmanager
async def _followed(settings: Any, tallies: Any) -> AsyncIterator[Callable[[], dict[str, dict[str, str]]]]:
    """Beside the orchestrator and until it has drained, if the settings say so."""
    if not settings.follow:
        yield dict
        return
    from saga.cli.follow import followed

    async with followed(settings, tallies) as following:
        yield following


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    """A supervisor that is killed cannot say goodbye, but the pipe it held ends. Without this its processes would stay,
    keep their ports, and hear of no later deploy."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(stdin, 1):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, look)


async def _pass_on(stop: asyncio.Event, to: Callable[[], None]) -> None:
    await stop.wait()
    to()


async def _publish(settings: Any, modules: tuple[str, ...], patience: Any) -> None:
    from saga.cli.definitions import publish_modules

    for text in await patience.wait_for("store", lambda: publish_modules(settings, modules)) or []:
        click.echo(text, err=True)


@contextmanager
def serving_health(address: str, report: Callable[[], dict[str, object]], tallies: Any = None) -> Iterator[None]:
    """Readiness and metrics over HTTP as long as this lasts, from the first moment; nothing without an address."""
    if not address:
        yield
        return
    from saga.adapters.http import HealthServer

    def snapshot() -> tuple[bool, dict[str, object]]:
        found = report()
        return bool(found["ready"]), found

    page = None
    if tallies is not None:
        from saga.adapters.telemetry.metrics import MetricsPage

        page = MetricsPage(tallies)
    try:
        server = HealthServer(address, snapshot, page)
    except (OSError, ValueError, OverflowError) as error:
        raise CommandFailed("SAGA-1007", f"--health {address}: {error}. Fix: host:port, with a free port") from None
    server.start()
    try:
        yield
    finally:
        server.stop()


async def _supervise(settings: Any, modules: tuple[str, ...]) -> int:
    """Children of this process, each an orchestrator; a dead one is started again, a stop is passed on."""
    from saga.cli.patience import Patience, stop_signals

    stopping = stop_signals()
    if modules:
        await _publish(settings, modules, Patience(stopping))
    children = [asyncio.create_task(_child(settings, number, stopping)) for number in range(settings.processes)]
    codes = await asyncio.gather(*children)
    return max(map(abs, codes))


def environment_of(settings: Any, number: int) -> dict[str, str]:
    """What the child of this number is told: the same, but one process and the next port."""
    from saga.settings import approvers_as_text

    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    environment |= {
        "SAGA_CONFIG": os.devnull,
        "SAGA_AMQP": settings.amqp,
        "SAGA_STORE": settings.store,
        "SAGA_PROCESSES": "1",
        "SAGA_EVENT_LOOP": settings.event_loop,
        "SAGA_MAX_IN_FLIGHT": str(settings.max_in_flight),
        "SAGA_FOLLOW": str(settings.follow).lower(),
        "SAGA_GATEWAYS": ",".join(settings.gateways),
        "SAGA_ORCHESTRATORS": ",".join(settings.orchestrators),
        "SAGA_APPROVERS": approvers_as_text(settings.approvers),
        "SAGA_OTLP": settings.otlp,
        "SAGA_OTLP_HEADERS": ",".join(settings.otlp_headers),
        "SAGA_TRACE_SAMPLING": ",".join(settings.trace_sampling),
        "SAGA_TRACE_TEXTS": str(settings.trace_texts).lower(),
        "SAGA_METRICS": str(settings.metrics).lower(),
        "SAGA_METRICS_INTERVAL": str(settings.metrics_interval),
        "SAGA_LOG_LEVEL": settings.log_level,
        "SAGA_LOG_FORMAT": settings.log_format,
        "SAGA_LOG_TEXTS": settings.log_texts,
    }
    if settings.health:
        host, _, port = settings.health.rpartition(":")
        if not port.isdecimal():
            raise CommandFailed("SAGA-1007", f"--health {settings.health}: no port. Fix: host:port, with free ports")
        environment["SAGA_HEALTH"] = f"{host}:{int(port) + number}"
    return environment


async def _child(settings: Any, number: int, stopping: asyncio.Event) -> int:
    pause_seconds = 0.0
    environment = environment_of(settings, number)
    now = asyncio.get_running_loop().time
    code = 0
    while not stopping.is_set():
        began = now()
        command = (sys.executable, "-m", "saga.cli", "run", "--supervised")
        child = await asyncio.create_subprocess_exec(*command, env=environment, stdin=asyncio.subprocess.PIPE)
        waiting, stop = asyncio.create_task(child.wait()), asyncio.create_task(stopping.wait())
        await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if stopping.is_set():
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
            return await waiting
        code = waiting.result()
        if code == Exit.USAGE:  # it would end so again
            stopping.set()
            return code
        click.echo(f"orchestrator {child.pid} ended with {code}, starting another", err=True)
        pause_seconds = pause_after(pause_seconds, now() - began)
        await asyncio.wait({asyncio.create_task(stopping.wait())}, timeout=pause_seconds)
    return code


def pause_after(pause_seconds: float, lived_seconds: float) -> float:
    """Before the next start: longer than the pause before, up to a limit, unless it had run for long."""
    if lived_seconds >= STEADY_SECONDS:
        return RESTART_FIRST_SECONDS
    return min(max(RESTART_FIRST_SECONDS, pause_seconds * 2), RESTART_MAX_SECONDS)
