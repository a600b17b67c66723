"""`saga conform`: tries the wire contract's rules on a participant in any language."""

import asyncio
import shlex
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed, Exit
from saga.cli.lengths import Length
from saga.cli.main import settings_of

PATIENCE_SECONDS = 10.0


@click.command()
@click.argument("command", metavar="SERVICE.COMMAND.vN")
@click.option("--body", required=True, help="A body that is answered `ok`: JSON, or @FILE.")
@click.option("--undo", metavar="SERVICE.COMMAND.vN", help="The command that undoes it.")
@click.option("--undo-body", help="Its body: JSON, or @FILE. Fields of the action's reply are null.")
@click.option("--declined-body", help="A body that is answered with a declared failure: JSON, or @FILE.")
@click.option("--read-only", is_flag=True, help="The command changes nothing and keeps no inbox.")
@click.option("--restart", metavar="COMMAND", help="Kills the participant, where something starts it again.")
@click.option("--patience", type=Length(least=0.1), default=PATIENCE_SECONDS, show_default=True, help="Seconds.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs.",
)
@click.pass_context
def conform(ctx: click.Context, /, command: str, output: str, restart: str | None, **given: Any) -> None:
    """Play the orchestrator and try every rule of the wire contract on a live participant; exit 1 when one is broken.

    Use a vhost where no orchestrator runs, and an orchestrator's user. The commands are carried out: use test data.
    $UNIQUE in a body is replaced by something else for each command; an undo gets what its action had.

    \b
    saga --amqp amqp://orchestrator:…@localhost/test conform payments.ChargeCard.v1 \\
        --body '{"order_id": "$UNIQUE", "customer": "ann", "amount": "9.99"}' \\
        --undo payments.RefundCharge.v1 --undo-body '{"charge_id": null, "reason": "test"}'
    """
    from saga.conform import Verdict

    target = _target(command, given)
    findings = asyncio.run(_conform(settings_of(ctx), target, restart))
    if output == "json":
        from saga.cli.show import print_json

        print_json(findings)
    else:
        _print(findings)
    broken = [finding for finding in findings if finding.verdict is Verdict.BROKEN]
    if broken:
        sys.exit(Exit.FAILED)


def _target(command: str, given: dict[str, Any]) -> Any:
    """Raises TargetError before anything is connected to."""
    from saga.conform import Target, checked

    return checked(
        Target(
            command=command,
            body=_bytes(given["body"]) or b"",
            undo=given["undo"],
            undo_body=_bytes(given["undo_body"]),
            declined_body=_bytes(given["declined_body"]),
            read_only=given["read_only"],
            patience=timedelta(seconds=given["patience"]),
        )
    )


def _bytes(given: str | None) -> bytes | None:
    """Raises CommandFailed for a file that cannot be read."""
    if given is None or not given.startswith("@"):
        return None if given is None else given.encode()
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise CommandFailed("SAGA-1005", f"{given}: {error.strerror}. Fix: @ and the path of a file, or JSON") from None


async def _conform(settings: Any, target: Any, restart: str | None) -> Any:
    from saga.bootstrap.brokers import open_bus
    from saga.conform import conform as tried
    from saga.stores import CLOCK, IDS

    async def run_restart() -> None:
        await _run(shlex.split(restart or ""))

    def tell(finding: Any) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{finding.verdict.value:<8}  {finding.rule.name:<18}", nl=False, err=True)

    bus = await open_bus(settings.amqp, name="conform")
    try:
        return await tried(bus, target, clock=CLOCK, ids=IDS, restart=run_restart if restart else None, progress=tell)
    finally:
        if sys.stderr.isatty():
            click.echo("\r" + " " * 30 + "\r", nl=False, err=True)
        await bus.close()


async def _run(command: list[str]) -> None:
    """Raises CommandFailed when it fails."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    code = await process.wait()
    if code:
        raise CommandFailed("SAGA-6002", f"{shlex.join(command)} ended with {code}. Fix: a command that restarts it")


def _print(findings: Any) -> None:
    """A line for each rule, and for each broken one what was received."""
    import msgspec

    from saga.conform import Verdict

    for finding in findings:
        line = f"{finding.verdict.value:<8}  {finding.rule.name:<18}  {finding.rule.text}"
        click.echo(f"{line} ({finding.reason})" if finding.verdict is Verdict.UNTRIED else line)
    broken = [finding for finding in findings if finding.verdict is Verdict.BROKEN]
    for finding in broken:
        click.echo(f"\n{finding.rule.name}: {finding.rule.text} [wire contract, {finding.rule.place}]")
        click.echo(f"  {finding.reason}")
        for received in finding.received:
            shown = msgspec.json.format(msgspec.json.encode(received), indent=2).decode()
            click.echo("  received " + shown.replace("\n", "\n  "))
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    click.echo("\n" + ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items()))
