"""The root command, its settings, and how an error leaves."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

COMMANDS = {
    "demo": ("saga.cli.demo", "demo", "Watch orders complete, be undone, and survive kill -9."),
    "dev": ("saga.cli.dev", "dev", "Run everything in one process, nothing to install."),
    "run": ("saga.cli.run", "run", "Run an orchestrator."),
    "follow": ("saga.cli.follow", "follow", "Publish what becomes of sagas."),
    "serve": ("saga.cli.serve", "serve", "Run a participant."),
    "start": ("saga.cli.sagas", "start", "Start a saga."),
    "list": ("saga.cli.sagas", "list_", "List sagas."),
    "show": ("saga.cli.sagas", "show", "Show one saga and why it waits."),
    "watch": ("saga.cli.watch", "watch", "Follow a saga until it has ended."),
    "history": ("saga.cli.sagas", "history", "Show every recorded event of a saga."),
    "trace": ("saga.cli.trace", "trace", "Rebuild a saga's trace, or link to it."),
    "signal": ("saga.cli.signals", "signal", "Tell a saga something it waits for."),
    "approvals": ("saga.cli.approvals", "approvals", "What people are asked, and their decisions."),
    "cancel": ("saga.cli.operations", "cancel", "Compensate what a saga did and end it."),
    "compensate": ("saga.cli.compensate", "compensate", "Show or do what undoing a saga would take."),
    "abandon": ("saga.cli.operations", "abandon", "Close a saga as it is."),
    "pause": ("saga.cli.operations", "pause", "Issue nothing and stop every deadline."),
    "resume": ("saga.cli.operations", "resume", "End a pause."),
    "resolve": ("saga.cli.operations", "resolve", "Move a parked step."),
    "explain": ("saga.cli.definitions", "explain", "Say what is undone when a step fails."),
    "diagram": ("saga.cli.definitions", "diagram", "Draw a definition (Mermaid)."),
    "definitions": ("saga.cli.definitions", "definitions", "Publish and list definitions."),
    "contracts": ("saga.cli.contracts", "contracts", "Describe commands and definitions (AsyncAPI)."),
    "conform": ("saga.cli.conform", "conform", "Try the rules of the wire contract on a participant."),
    "topology": ("saga.cli.topology", "topology", "The broker's exchanges, queues and rights."),
    "db": ("saga.cli.db", "db", "The store's tables."),
    "inbox": ("saga.cli.db", "inbox", "The participant's inbox tables."),
    "parked": ("saga.cli.parked", "parked", "Messages nobody could use."),
    "errors": ("saga.cli.errors", "errors", "Error codes: why, what to do, how a command ends."),
    "doctor": ("saga.cli.doctor", "doctor", "Say what is missing, what is stuck, and why."),
    "completion": ("saga.cli.completion", "completion", "Complete words in bash, zsh or fish."),
    "config": ("saga.cli.config", "config", "Settings and where they come from."),
}


class LazyGroup(click.Group):
    """Knows the names and one-line helps of its commands; imports one only to run it or to show its own help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Of the whole line: what is no text can stand in no record, whatever option or command it is for."""
        for given in args:
            if any("\ud800" <= character <= "\udfff" for character in given):
                raise click.UsageError(f"{given!r} is not UTF-8. Fix: type it in a UTF-8 terminal", ctx)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature of click
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; a reader that has seen enough (`| head -1`) is no failure, though click would make it one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            nobody_reads()
            return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Without importing what is only named."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=text) for name, (_, _, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file [default: saga.toml].")
@click.option("--profile", help="Section [profile.NAME] of the settings file.")
@click.option("--amqp", help="Broker: amqp://user:password@host:port/vhost, or dev:///folder.")
@click.option("--store", help="The engine's store: postgres://… or sqlite:///path.")
@click.option("--log-level", help="debug, info, warning or error.")
@click.option("--log-format", help="auto, text or json.")
@click.version_option(package_name="saga-engine", message="saga %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, config: Path | None, profile: str | None, **flags: str | None) -> None:
    """Sagas over RabbitMQ: durable, undone in reverse when they fail late.

    Every option can also be set as SAGA_<NAME> in the environment or in saga.toml.
    """
    ctx.obj = {"config": config, "profile": profile, "flags": {k: v for k, v in flags.items() if v is not None}}


def settings_of(ctx: click.Context, **more: Any) -> Any:
    """The settings, with a command's own flags on top."""
    from saga.cli import logs
    from saga.settings import load

    logs.only_ours()
    given = ctx.find_root().obj
    flags = given["flags"] | {name: value for name, value in more.items() if value is not None}
    settings, _ = load(os.environ, flags, file=given["config"], profile=given["profile"])
    return settings


def nobody_reads() -> None:
    """Whatever is still printed goes nowhere, also what Python writes as it ends."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a file
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main() -> None:
    """Entry point: an error is a few lines on stderr and an exit code."""
    if "_SAGA_COMPLETE" in os.environ:
        from saga.cli.completion import answer

        answer(cli)
    try:
        cli(prog_name="saga", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C, or the answer was no
            click.echo("aborted", err=True)
            sys.exit(130)
        from saga.cli.failure import report, stopped

        sys.exit(report(stopped(), sys.argv[1:]))
    except Exception as error:  # noqa: BLE001 - nobody else is left to say what happened
        from saga.cli.failure import report

        sys.exit(report(error, sys.argv[1:]))
