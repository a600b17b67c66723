"""How results are printed: a table for people, JSON for programs. JSON is the stable contract."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """`-o table|json|jsonl|id`."""
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "jsonl", "id"]),
        default="table",
        show_default=True,
        help="For people; for programs; an object a line; only what names each.",
    )
    return option(command)


def print_rows(output: str, rows: Sequence[dict[str, object]], identity: str) -> None:
    """Print rows; `[]` when there are none in JSON."""
    if output == "json":
        print_json(list(rows))
    elif output == "jsonl":
        for row in rows:
            print_line(row)
    elif output == "id":
        for row in rows:
            click.echo(row[identity])
    elif rows:
        _table(rows)
    else:
        click.echo("nothing found", err=True)


def print_json(value: object) -> None:
    """Indented for a terminal, one line for a pipe."""
    if not sys.stdout.isatty():
        print_line(value)
        return
    click.echo("\n".join(map(_escaped, _json(value, indent=2).split("\n"))))


def print_line(value: object) -> None:
    """One line, also of a payload that came with line ends in it."""
    click.echo(_escaped(_json(value, indent=-1)))


def _json(value: object, *, indent: int) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


def _escaped(line: str) -> str:
    """The same JSON, without what a terminal would obey: such characters stand inside strings only."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in line)


def say(text: str) -> None:
    """A line for people, whatever a peer wrote into it."""
    click.echo(printable(text))


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey: line ends and control characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _table(rows: Sequence[dict[str, object]]) -> None:
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    click.echo("  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip())
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)
    return printable(text if len(text) <= 60 else text[:59] + "…")
