"""`saga doctor`: what is missing, what is stuck and why, and what to type."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from saga.cli.failure import Exit, told
from saga.cli.main import settings_of
from saga.cli.show import print_rows, printable, say

COLOURS = {"error": "31;1", "warning": "33", "note": "2"}
BINDINGS_UNSEEN = "bindings and policies were not looked at"
UNSEEN_WHY = "Only the management API shows them."
UNREACHED = "cannot be asked: "


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "jsonl"]),
    default="table",
    show_default=True,
    help="For people; for programs; a finding a line.",
)
@click.pass_context
def doctor(ctx: click.Context, output: str) -> None:
    """Look at settings, store, broker, sagas and parked messages; changes nothing.

    Every finding says what is the matter, why, and the command that helps. Exit code 0 when nothing is wrong (notes
    are not wrong), 1 when something is.
    """
    import msgspec

    from saga.cli import logs

    with logs.silence():
        findings = _findings(ctx)
    if output == "table":
        _print(findings)
    else:
        print_rows(output, [msgspec.structs.asdict(finding) for finding in findings], "what")
    if any(finding.severity != "note" for finding in findings):
        sys.exit(int(Exit.FAILED))


def _findings(ctx: click.Context) -> list[Any]:
    """Errors first."""
    from saga.core.errors import SagaError

    try:
        settings = settings_of(ctx)
    except SagaError as error:
        return [_failure("settings", error)]
    found = asyncio.run(_examined(settings))
    return sorted(found, key=lambda finding: list(COLOURS).index(finding.severity))


async def _examined(settings: Any) -> list[Any]:
    services: dict[str, list[str]] = {}
    findings = await _store(settings, services)
    return findings + await _broker(settings, services)


async def _store(settings: Any, services: dict[str, list[str]]) -> list[Any]:
    """What the store says; fills in the services that are used."""
    from saga.engine import examine
    from saga.stores import CLOCK, open_store

    async def defined(store: Any) -> list[Any]:
        used, findings = await examine.services_in_use(store, CLOCK)
        services.update(used)
        return findings

    async def look() -> list[Any]:
        store = await open_store(settings.store)
        try:
            findings: list[Any] = await examine.examine_store(store, CLOCK)
            if any(finding.severity == "error" for finding in findings):
                return findings  # without tables there is nothing more to ask
            findings += await defined(store)
            findings += await _tried("sagas", lambda: examine.examine_sagas(store, CLOCK))
            return findings + await _tried("messages", lambda: examine.examine_messages(store))
        finally:
            await store.close()

    return await _tried("store", look)


async def _broker(settings: Any, services: dict[str, list[str]]) -> list[Any]:
    from saga.core.topology import wanted_topology

    if not settings.amqp.startswith(("amqp://", "amqps://")):
        return await _tried("broker", lambda: _reached(settings))
    wanted = wanted_topology(services)

    async def look() -> list[Any]:
        from saga.adapters.rabbitmq.topology import look as looked
        from saga.core.checkup import broker_findings

        return list(broker_findings(await looked(settings.amqp, wanted), services))

    findings = await _tried("broker", look)
    if any(finding.what.startswith(UNREACHED) for finding in findings):
        return findings
    return findings + await _bindings(settings, wanted)


async def _reached(settings: Any) -> list[Any]:
    """The broker inside `saga dev` declares what it needs by itself. Raises WrongAddress for any other address."""
    from saga.bootstrap.brokers import open_bus

    await (await open_bus(settings.amqp, name="saga doctor")).close()
    return []


async def _bindings(settings: Any, wanted: Any) -> list[Any]:
    """What only the management API shows; where it is off, a note."""
    from saga.adapters.rabbitmq.topology import read
    from saga.core.checkup import Finding, binding_findings
    from saga.core.errors import Unavailable

    try:
        actual = await read(settings.amqp, settings.amqp_management, users=False)
    except Unavailable as error:
        found = told(error)
        return [Finding("note", "broker", BINDINGS_UNSEEN, f"{UNSEEN_WHY} {found.message}", found.fix)]
    return list(binding_findings(wanted, actual))


async def _tried(area: Any, look: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
    """Whatever cannot be looked at is a finding itself, and the rest is looked at all the same."""
    from saga.core.errors import SagaError

    try:
        return await look()
    except SagaError as error:
        return [_failure(area, error)]


def _failure(area: Any, error: Exception) -> Any:
    from saga.core.checkup import Finding

    found = told(error)
    return Finding("error", area, f"{UNREACHED}{found.message}", found.why, found.fix)


def _print(findings: list[Any]) -> None:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for finding in findings:
        severity = f"{finding.severity:<8}"
        if coloured:
            severity = f"\033[{COLOURS[finding.severity]}m{severity}\033[0m"
        click.echo(f"{severity} {finding.area}: {printable(finding.what)}")
        say(f"         why: {finding.why}")
        say(f"         fix: {finding.fix}")
    counts = [(kind, sum(finding.severity == kind for finding in findings)) for kind in COLOURS]
    told_counts = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)
    click.echo(told_counts or "nothing is wrong", err=bool(findings))
