"""Definitions, as stores keep them."""

from collections.abc import Sequence
from typing import Any

from saga.define import Definition
from saga.ports import Definitions, StoredDefinition


async def publish(store: Definitions, definition: Definition[Any, Any]) -> Sequence[Definition[Any, Any]]:
    """Publish a definition, its sub-sagas before it; returns all of them. Raises DefinitionConflict, Unavailable."""
    family = tuple(definition.family())
    for member in family:
        await store.publish(stored(member))
    return family


def stored(definition: Definition[Any, Any]) -> StoredDefinition:
    """A definition as the store keeps it."""
    return StoredDefinition(definition.hash, definition.name, definition.version, definition.canonical)
