"""Definitions, as stores keep them."""

from collections.abc import Sequence
from typing import Any

from saga.core.errors import DefinitionConflict, SagaError
from saga.define import Definition
from saga.ports import Definitions, StoredDefinition


class TwoOfOneVersion(SagaError):
    """Two definitions are given under one name and version: only one of them could be published."""

    code = "SAGA-2106"


async def publish(store: Definitions, *definitions: Definition[Any, Any]) -> Sequence[Definition[Any, Any]]:
    """Publish definitions, sub-sagas before their parents; returns all of them, each once.

    All are looked at before any is stored: a version is live from then on. Raises TwoOfOneVersion, DefinitionConflict,
    Unavailable.
    """
    family = {member.hash: member for definition in definitions for member in definition.family()}
    members = tuple(family.values())
    _told_apart(members)
    await _not_changed(store, members)
    for member in members:
        await store.publish(stored(member))
    return members


def stored(definition: Definition[Any, Any]) -> StoredDefinition:
    """A definition as the store keeps it."""
    return StoredDefinition(definition.hash, definition.name, definition.version, definition.canonical)


def _told_apart(members: Sequence[Definition[Any, Any]]) -> None:
    hashes: dict[tuple[str, int], str] = {}
    for member in members:
        other = hashes.setdefault((member.name, member.version), member.hash)
        if other != member.hash:
            raise TwoOfOneVersion(
                f"{member.name} v{member.version} is given twice, with different contents "
                f"({other[:12]} and {member.hash[:12]}). Fix: give one of them another name or version, or remove it"
            )


async def _not_changed(store: Definitions, members: Sequence[Definition[Any, Any]]) -> None:
    """The store says it too, of each one by itself: then those before it are live."""
    wanted = {(member.name, member.version): member.hash for member in members}
    for name in dict.fromkeys(member.name for member in members):
        for found in await store.named(name):
            new = wanted.get((name, found.version), found.hash)
            if new != found.hash:
                raise DefinitionConflict(name, found.version, found.hash, new)
