"""A participant's own database: what a team implements to bring its own library."""

from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, runtime_checkable


class Transaction(Protocol):
    """An open transaction of the service's own database: the two methods a team writes for its database library.

    `handle` is what its handlers get as `ctx.tx`.
    """

    @property
    def handle(self) -> object: ...

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement with `$1`-style parameters (bytes, str, int, None); return its rows, if any."""
        ...


class Database(Protocol):
    """Opens transactions in the service's own database: commit on leaving, roll back on an exception."""

    @property
    def dialect(self) -> Literal["postgres", "sqlite"]:
        """Whose SQL it speaks."""
        ...

    def begin(self) -> AbstractAsyncContextManager[Transaction]: ...


@runtime_checkable
class Reserving(Protocol):
    """What a database offers beyond the port when its handlers may use up its connections."""

    def begin_short(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of a few statements that waits for none of `begin`: leases are kept with it."""
        ...
