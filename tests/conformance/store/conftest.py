"""The store under test: the same tests on memory, SQLite and Postgres."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from saga.ports import Store
from tests.conformance.store.places import KINDS, Place, sqlite_file


@pytest.fixture(params=KINDS)
def empty_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place without tables."""
    if request.param == "postgres":
        return Place("postgres", request.getfixturevalue("database"))
    return Place(request.param, sqlite_file(tmp_path))


@pytest.fixture
async def place(empty_place: Place) -> AsyncIterator[Place]:
    """A place with tables."""
    store = await empty_place.open()
    await store.migrate()
    yield empty_place
    await empty_place.close()


@pytest.fixture
async def store(place: Place) -> Store:
    """A store on a place of its own."""
    return await place.open()


@pytest.fixture
async def rival(place: Place, store: Store) -> Store:
    """A second store on the same data, as another process would open it."""
    return await place.open()


@pytest.fixture
async def place_stores(place: Place) -> list[Store]:
    """Three stores on the same data."""
    return [await place.open() for _ in range(3)]
