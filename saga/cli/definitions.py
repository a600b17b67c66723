"""`saga definitions`, `saga explain`, `saga diagram`."""

import asyncio
from collections.abc import Iterable
from typing import Any

import click

from saga.cli.main import settings_of
from saga.cli.show import output_option, print_rows


@click.group()
def definitions() -> None:
    """Definitions in the store. A run stays with the version it started with."""


@definitions.command("publish")
@click.argument("modules", nargs=-1, required=True)
@click.pass_context
def publish_(ctx: click.Context, modules: tuple[str, ...]) -> None:
    """Publish the definitions of MODULE or MODULE:OBJECT, all or none; new starts take the newest version."""
    for text in asyncio.run(publish_modules(settings_of(ctx), modules)):
        click.echo(text)


@definitions.command("list")
@output_option
@click.pass_context
def list_definitions(ctx: click.Context, output: str) -> None:
    """List what is published."""
    rows = asyncio.run(_named(settings_of(ctx)))
    print_rows(output, rows, "hash")


@click.command()
@click.argument("module")
def explain(module: str) -> None:
    """Say, for each step of MODULE's definitions, what is undone when it fails; and what looks risky."""
    from saga.define.explain import explain as text_of
    from saga.named import definitions_in

    for definition in definitions_in(module):
        click.echo(text_of(definition.compiled))


@click.command()
@click.argument("module")
def diagram(module: str) -> None:
    """Print MODULE's definitions as Mermaid diagrams with their compensations."""
    from saga.define.diagram import mermaid
    from saga.named import definitions_in

    for definition in definitions_in(module):
        click.echo(mermaid(definition.compiled))


async def publish_modules(settings: Any, modules: Iterable[str]) -> list[str]:
    """Publish every definition of these modules, or none of them; returns a line about each."""
    from saga.bootstrap.definitions import publish
    from saga.named import definitions_in
    from saga.stores import open_store

    definitions = [definition for module in modules for definition in definitions_in(module)]
    store = await open_store(settings.store)
    try:
        return [_line(each) for each in await publish(store, *definitions)]
    finally:
        await store.close()


def _line(definition: Any) -> str:
    return f"published {definition.name} v{definition.version} {definition.hash[:12]}"


async def _named(settings: Any) -> list[dict[str, object]]:
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        return [
            {"name": found.name, "version": found.version, "hash": found.hash, "published_at": found.published_at}
            for found in await store.named()
        ]
    finally:
        await store.close()
