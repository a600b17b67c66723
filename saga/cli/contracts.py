"""`saga contracts`: what crosses the wire, for people and tools in other languages."""

import shlex
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed


@click.group()
def contracts() -> None:
    """Commands, replies and definitions as documents."""


@contracts.command()
@click.argument("modules", metavar="MODULE...", nargs=-1, required=True)
@click.option("--title", default="Sagas", show_default=True, help="Of the document.")
@click.option("--document-version", default="1.0.0", show_default=True, help="Of what the document describes.")
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Print nothing; exit 1 when FILE is not this document.",
)
@click.option("-w", "--write", type=click.Path(dir_okay=False, path_type=Path), help="Write FILE instead of printing.")
def asyncapi(
    modules: tuple[str, ...], title: str, document_version: str, check: Path | None, write: Path | None
) -> None:
    """Print an AsyncAPI 3.1 document of the command classes and definitions in MODULEs.

    Give the modules of the contracts and those of the definitions that use them.
    """
    from saga.wire.asyncapi import written

    document = written(_document(modules, title=title, version=document_version))
    if check is not None:
        _check(check, document, f"{' '.join(modules)} --title {shlex.quote(title)}")
    elif write is not None:
        try:
            write.write_bytes(document)
        except OSError as error:
            raise CommandFailed("SAGA-1005", f"{write} cannot be written: {error.strerror}") from None
    else:
        click.echo(document, nl=False)


def _document(modules: tuple[str, ...], *, title: str, version: str) -> dict[str, Any]:
    from saga.contract import Contract
    from saga.define import Definition
    from saga.named import NOTHING_THERE, WrongName, load_module
    from saga.wire.asyncapi import Described, asyncapi_document

    held = [value for module in modules for value in vars(load_module(module)).values()]
    commands = [v for v in held if isinstance(v, type) and isinstance(v.__dict__.get("__saga__"), Contract)]
    if not commands:
        raise WrongName(
            f"{', '.join(modules)}: no command in there. Fix: name a module with classes under @command",
            code=NOTHING_THERE,
        )
    definitions = {v.name: v for v in held if isinstance(v, Definition)}
    described = [Described(one.compiled, one.input, one.output, one.signals) for _, one in sorted(definitions.items())]
    return asyncapi_document(dict.fromkeys(commands), described, title=title, version=version)


def _check(file: Path, document: bytes, arguments: str) -> None:
    fix = f"Fix: saga contracts asyncapi {arguments} --write {file}"
    if not file.exists():
        raise CommandFailed("SAGA-1013", f"there is no {file}. {fix}")
    if file.read_bytes() != document:
        raise CommandFailed("SAGA-1013", f"{file} is stale: contracts, definitions or the wire changed. {fix}")
