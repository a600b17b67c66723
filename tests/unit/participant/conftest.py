"""What the serving tests share."""

from collections.abc import AsyncIterator

import pytest

from saga.adapters.sqlite.database import SqliteDatabase
from tests.unit.participant.till import Clock


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    """A service's database in memory."""
    opened = SqliteDatabase(":memory:", clock=Clock())
    await opened.migrate("bank")
    yield opened
    await opened.close()
