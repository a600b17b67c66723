"""What the tests of several services share."""

from collections.abc import Iterator

import pytest

from tests.unit.services.tables import Tables


@pytest.fixture
def tables() -> Iterator[Tables]:
    """An empty database; `tables.migrate("payments")` makes a service's own tables."""
    made = Tables()
    yield made
    made.connection.close()
