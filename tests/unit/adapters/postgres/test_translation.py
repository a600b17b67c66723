"""What a failure of Postgres means for what was asked: tried again, asked about, or set aside."""

import asyncpg
import pytest

from saga.adapters.postgres.connection import translated
from saga.core.errors import SchemaMismatch, StoreAway, Unstorable
from saga.ports import CommitUnknown


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.CharacterNotInRepertoireError("a NUL"), Unstorable),
        (asyncpg.NumericValueOutOfRangeError("too much"), Unstorable),
        (asyncpg.ProgramLimitExceededError("an index row"), Unstorable),
        (asyncpg.NotNullViolationError("nothing there"), Unstorable),
        (asyncpg.UniqueViolationError("a race"), StoreAway),
        (asyncpg.DeadlockDetectedError("a race"), StoreAway),
        (asyncpg.DiskFullError("no room"), StoreAway),
        (asyncpg.QueryCanceledError("too slow"), StoreAway),
        (asyncpg.UndefinedTableError("no table"), SchemaMismatch),
        (asyncpg.AdminShutdownError("going down"), CommitUnknown),
        (asyncpg.ConnectionDoesNotExistError("gone"), CommitUnknown),
        (ConnectionResetError("gone"), CommitUnknown),
    ],
)
def test_what_a_failure_means(error: Exception, kind: type[Exception]) -> None:
    """A value nobody will ever store is not an outage: trying it again would hold up its neighbours for ever."""
    assert type(translated(error, "commit")) is kind
