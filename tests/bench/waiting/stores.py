"""The store as it is after a fill: how large, in order, and followed to its end."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import asyncpg
import msgspec

from saga.stores import IDS, open_feed, open_store
from tests.bench.waiting.filling import publish_waiting

FOLLOWERS = ("lifecycle",)
PAGE_COMMITS = 5_000
LEASE_SECONDS = 600.0
TABLES = ("sagas", "history")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Of the tables and their indexes, in bytes."""

    total: int
    parts: dict[str, int]


def file_of(url: str) -> Path:
    """The file of an SQLite address."""
    return Path(url.removeprefix("sqlite:///"))


async def prepare(url: str) -> None:
    """Tables and definitions."""
    store = await open_store(url)
    try:
        await store.migrate()
        await publish_waiting(store)
    finally:
        await store.close()


async def size_of(url: str) -> Size:
    """Every table and every index of sagas and histories."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(file_of(url))) as file:
            file.execute("pragma wal_checkpoint(truncate)")
        parts = {"file": file_of(url).stat().st_size}
        return Size(total=parts["file"], parts=parts)
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "select c.relname, pg_relation_size(c.oid) + case when c.relkind = 'r' then "
            "coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) else 0 end as bytes "
            "from pg_class c left join pg_index i on i.indexrelid = c.oid "
            "where coalesce(i.indrelid, c.oid) = any($1::text[]::regclass[]) order by 2 desc",
            list(TABLES),
        )
    finally:
        await connection.close()
    parts = {record["relname"]: record["bytes"] for record in found}
    return Size(total=sum(parts.values()), parts=parts)


async def settle(url: str) -> None:
    """What autovacuum and the checkpointer do by themselves a little later, so that they do not run meanwhile."""
    if url.startswith("sqlite"):
        return
    connection = await asyncpg.connect(url)
    try:
        for table in TABLES:
            await connection.execute(f"vacuum (analyze) {table}", timeout=3_600)
        await connection.execute("checkpoint", timeout=600)
    finally:
        await connection.close()


async def follow_to_the_end(url: str) -> int:
    """Move every follower's cursor behind all there is: a store that filled over weeks was followed meanwhile."""
    feed = await open_feed(url)
    owner, count = IDS.message(), 0
    try:
        for name in FOLLOWERS:
            position = await feed.take_cursor(name, owner, LEASE_SECONDS)
            assert position is not None, f"somebody follows as {name}"
            more = True
            while more:
                page = await feed.read_after(position, PAGE_COMMITS)
                position, more, count = page.position, page.more, count + len(page.rows)
            await feed.save_cursor(name, owner, position, 0)
    finally:
        await feed.close()
    return count


def in_order(url: str) -> tuple[Size, Size, int]:
    """Size as filled, size when settled, and the commits that were followed."""
    return asyncio.run(_in_order(url))


async def _in_order(url: str) -> tuple[Size, Size, int]:
    filled = await size_of(url)
    await settle(url)
    return filled, await size_of(url), await follow_to_the_end(url)
