"""`saga config`: settings and where they come from."""

import os

import click
import msgspec

from saga.cli.show import output_option, print_rows


@click.group()
def config() -> None:
    """Settings: flag, then environment, then saga.toml, then default."""


@config.command()
@output_option
@click.pass_context
def explain(ctx: click.Context, output: str) -> None:
    """Show each value and where it came from, passwords masked."""
    from saga.settings import load

    given = ctx.find_root().obj
    _, origins = load(os.environ, given["flags"], file=given["config"], profile=given["profile"])
    print_rows(output, [msgspec.structs.asdict(origin) for origin in origins], "name")
