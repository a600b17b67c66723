"""What really happened, counted in the ledgers of services and world; the engine is not asked."""

import importlib
from collections.abc import Iterable
from typing import Any

import msgspec

from saga.bootstrap.participants import open_database
from saga.demo import reference
from saga.demo.town import Town


class Check(msgspec.Struct, frozen=True):
    """Something that was looked up, and whether it is as it must be."""

    text: str
    is_true: bool


class Done(msgspec.Struct, frozen=True, order=True):
    """A line of a service's effect ledger."""

    at_ns: int
    sequence: int
    service: str
    step: str
    """Without what it stands in."""
    kind: str
    """`do` or `undo`."""


async def effects(town: Town, services: Iterable[str], subject: str) -> list[Done]:
    """What these services did for a business key, oldest first. Raises Unavailable."""
    found: list[Done] = []
    for service in services:
        sql = f"select at_ns, sequence, step, kind from {service}_effects where subject = $1"  # noqa: S608 - our names
        for at_ns, sequence, step, kind in await rows(town.database(service), sql, subject):
            found.append(Done(at_ns, sequence, service, step.rpartition("/")[2], kind))
    return sorted(found)


def undone(found: Iterable[Done]) -> tuple[str, ...]:
    """Steps, in the order in which they were undone."""
    return tuple(each.step for each in found if each.kind == "undo")


def count(found: Iterable[Done], step: str, kind: str = "do") -> int:
    """How often a step was done, or undone."""
    return sum((each.step, each.kind) == (step, kind) for each in found)


def books(town: Town, outside: str, kind: str, **fields: object) -> int:
    """How many lines of a kind with these fields are in the books of a business of the outside world."""
    return len(book_lines(town, outside, kind, **fields))


def book_lines(town: Town, outside: str, kind: str, **fields: object) -> list[dict[str, Any]]:
    """Those lines."""
    written = importlib.import_module("services.world.books")
    lines: list[dict[str, Any]] = written.read(town.folder / reference.WORLD[outside].books, kind)
    return [line for line in lines if all(line.get(name) == value for name, value in fields.items())]


async def rows(url: str, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Ask a service's database; parameters are `$1`. Raises Unavailable."""
    database = await open_database(url)
    try:
        async with database.begin() as tx:
            return await tx.execute(sql, *arguments)
    finally:
        await database.close()
