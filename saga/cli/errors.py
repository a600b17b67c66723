"""`saga errors`: the catalogue of codes, offline."""

import click
import msgspec

from saga.cli.failure import CommandFailed
from saga.cli.show import output_option, print_json, print_rows
from saga.core.codes import CODES, code_of


@click.command()
@click.argument("code", required=False)
@output_option
def errors(code: str | None, output: str) -> None:
    """List every error code, or explain one: a number as in SAGA-4001, or a word as in key-reused."""
    if code is None:
        rows = [
            {"code": one.number, "word": one.word, "exit_code": int(one.exit_code), "title": one.title}
            for one in sorted(CODES.values(), key=lambda one: one.number)
        ]
        print_rows(output, rows, "code")
        return
    found = code_of(code)
    if found is None:
        raise CommandFailed("SAGA-3006", f"there is no code {code!r}. Fix: saga errors")
    if output != "table":
        print_json(msgspec.structs.asdict(found) | {"page": found.page})
        return
    click.echo(f"{found.number}{f' ({found.word})' if found.word else ''}: {found.title}")
    click.echo(f"  why:  {found.why}\n  fix:  {found.fix}\n  exit: {found.exit_code}\n  page: {found.page}")
