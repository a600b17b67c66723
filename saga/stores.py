"""Opens the store an address names. Apart from `saga.bootstrap`, so that looking at sagas imports no engine."""

from saga.adapters.system import SystemClock, SystemIds
from saga.core.errors import SagaError
from saga.ports import Feed, Store
from saga.settings import masked

CLOCK = SystemClock()
IDS = SystemIds()


class WrongAddress(SagaError):
    """A url that names nothing this engine can open."""

    code = "SAGA-1004"


async def open_store(url: str) -> Store:
    """The engine's store. Raises WrongAddress; a store that is away now is met by the first call."""
    if url.startswith(("postgres://", "postgresql://")):
        from saga.adapters import postgres

        return await postgres.open_store(url)
    if url.startswith("sqlite:///"):
        from saga.adapters import sqlite

        return await sqlite.open_store(url.removeprefix("sqlite:///"), clock=CLOCK)
    raise WrongAddress(
        f"store {masked(url)!r} is not known. Fix: postgres://user@host/database, or sqlite:///path/file.db"
    )


async def open_feed(url: str) -> Feed:
    """The history of the store at this address, to be followed. Raises WrongAddress, as `open_store` does."""
    if url.startswith(("postgres://", "postgresql://")):
        from saga.adapters import postgres

        return await postgres.open_feed(url)
    if url.startswith("sqlite:///"):
        from saga.adapters import sqlite

        return await sqlite.open_feed(url.removeprefix("sqlite:///"), clock=CLOCK)
    raise WrongAddress(
        f"store {masked(url)!r} is not known. Fix: postgres://user@host/database, or sqlite:///path/file.db"
    )
