"""One database gives the journal, the alarms, the definitions and the reading."""

from collections.abc import Sequence
from typing import Protocol

from saga.ports.census import Census
from saga.ports.journal import Definitions, Journal, Wakes
from saga.ports.lookup import Lookup
from saga.ports.parked import ParkedMessages


class Schema(Protocol):
    """The store's own tables."""

    async def migrate(self) -> Sequence[str]:
        """Apply what is missing, forward only, under a lock; returns the names applied."""
        ...

    async def pending(self) -> Sequence[str]:
        """Names of migrations not applied yet. Raises SchemaMismatch when an applied one was changed since."""
        ...


class Store(Journal, Wakes, Definitions, Lookup, ParkedMessages, Census, Schema, Protocol):
    """One database gives all of these; the engine's modules each ask for the narrow port they use."""

    async def close(self) -> None:
        """Close every connection."""
        ...
