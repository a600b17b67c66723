"""What the store knows, for completion: quick or not at all, and never a word about what went wrong."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import click
from click.shell_completion import CompletionItem

STORE_SECONDS_MAX = 0.3
"""A person waits behind the key."""
IDS_MAX = 20
KEYS_MAX = 200
SQLITE = "sqlite:///"
ANY_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def definition_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of published definitions."""

    async def ask(store: Any) -> list[CompletionItem]:
        names = dict.fromkeys(each.name for each in await store.named())
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return _asked(ctx, ask)


def saga_references(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the newest sagas, and DEFINITION/KEY."""
    name, slash, _ = incomplete.partition("/")

    async def ask(store: Any) -> list[CompletionItem]:
        if slash:
            return await _keys(store, name, incomplete)
        names = dict.fromkeys(f"{each.name}/" for each in await store.named())
        found = [CompletionItem(each) for each in names if each.startswith(incomplete)]
        return found + await _ids(store, incomplete)

    return _asked(ctx, ask)


async def _keys(store: Any, name: str, incomplete: str) -> list[CompletionItem]:
    from saga.ports import SagaFilter

    rows = await store.sagas(SagaFilter(name=name, limit=KEYS_MAX))
    found = [(f"{row.name}/{row.start_key[2:]}", row.status) for row in rows]
    return [CompletionItem(reference, help=status) for reference, status in found if reference.startswith(incomplete)]


async def _ids(store: Any, incomplete: str) -> list[CompletionItem]:
    from saga.core.rows import is_saga_id
    from saga.ports import SagaFilter

    last = incomplete + ANY_ID[len(incomplete) :]  # no id with this beginning is greater
    if not is_saga_id(last):
        return []
    rows = await store.sagas(SagaFilter(before=last, limit=IDS_MAX))
    return [
        CompletionItem(row.saga, help=f"{row.name}/{row.start_key[2:]} {row.status}")
        for row in rows
        if row.saga.startswith(incomplete)
    ]


def _asked(ctx: click.Context, ask: Callable[[Any], Awaitable[list[CompletionItem]]]) -> list[CompletionItem]:
    """What the store says in time. On a thread: neither a slow name server nor a locked file holds the shell up."""
    found: list[CompletionItem] = []
    with suppress(Exception):
        url = _store_url(ctx)
        if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
            return []  # to open it would make it
        from saga.stores import open_store

        async def answer() -> None:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                store = await open_store(url)
                try:
                    found.extend(await ask(store))
                finally:
                    await store.close()

        def work() -> None:
            with suppress(Exception):
                asyncio.run(answer())

        thread = Thread(target=work, daemon=True)
        thread.start()
        thread.join(STORE_SECONDS_MAX)
    return list(found)


def _store_url(ctx: click.Context) -> str:
    """The settings, though the root command was parsed and not run. Raises SettingsError."""
    from saga.settings import Settings, load

    given = ctx.find_root().params
    flags = {name: given[name] for name in Settings.__struct_fields__ if given.get(name) is not None}
    settings, _ = load(os.environ, flags, file=given.get("config"), profile=given.get("profile"))
    return settings.store


saga_argument = click.argument("saga", shell_complete=saga_references)
