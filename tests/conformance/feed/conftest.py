"""The feed under test: the same tests on memory, SQLite and Postgres, with a store beside it that writes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from saga.adapters import postgres, sqlite
from saga.adapters.memory import MemoryStore
from saga.ports import Feed, Store
from tests.conformance.store.places import KINDS, Place, sqlite_file

Opening = Callable[[], Awaitable[Feed]]


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A place with tables."""
    where = request.getfixturevalue("database") if request.param == "postgres" else sqlite_file(tmp_path)
    place = Place(request.param, where)
    await (await place.open()).migrate()
    yield place
    await place.close()


@pytest.fixture
async def store(place: Place) -> Store:
    """Who writes."""
    return await place.open()


@pytest.fixture
async def open_feed(place: Place, store: Store) -> AsyncIterator[Opening]:
    """Opens one more feed of the place, as another process would."""
    async with AsyncExitStack() as stack:

        async def opened() -> Feed:
            feed = await _feed(place, store)
            stack.push_async_callback(feed.close)
            return feed

        yield opened


@pytest.fixture
async def feed(open_feed: Opening) -> Feed:
    """Who follows."""
    return await open_feed()


@pytest.fixture
async def rival(open_feed: Opening, feed: Feed) -> Feed:
    """Who follows the same in another process."""
    return await open_feed()


async def _feed(place: Place, store: Store) -> Feed:
    if isinstance(store, MemoryStore):
        return store.feed()
    if place.kind == "sqlite":
        return await sqlite.open_feed(place.where, clock=place.clock)
    return await postgres.open_feed(place.where)
