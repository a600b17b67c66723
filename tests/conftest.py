"""Fixtures every test may ask for, and the order of the run: quick and pure first, servers and processes last."""

import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import PostgresServer, RabbitServer, ServersMissing, provide_postgres, provide_rabbit

# What is listed first fails first. Folders that are not listed run at the end.
STAGES = (
    "architecture",
    "typing",
    "unit",
    "property",
    "compatibility",
    "conformance",
    "integration",
    "infra",
    "simulation",
    "acceptance",
)

# No test is about time: on a machine with other work to do, drawing an example may take seconds.
settings.register_profile("saga", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("saga")

_RUN = secrets.token_hex(3)
_NUMBER = itertools.count(1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by stage after the shuffle: the order inside a stage stays random."""
    root = Path(__file__).parent

    def stage(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0]
        return STAGES.index(folder) if folder in STAGES else len(STAGES)

    items.sort(key=stage)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = _mixed(items, stage)


def _mixed(items: list[pytest.Item], stage: Callable[[pytest.Item], int]) -> list[pytest.Item]:
    """Files that wait for servers beside files that compute, and none of the long ones last: for several workers."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waits = [mine for mine in files.values() if stage(mine[0]) >= STAGES.index("integration")][::-1]
    computes = [mine for mine in files.values() if stage(mine[0]) < STAGES.index("integration")]
    each = -(-len(computes) // max(len(waits), 1))
    mixed: list[pytest.Item] = []
    for number in range(max(len(waits), -(-len(computes) // max(each, 1)))):
        for mine in [*waits[number : number + 1], *computes[number * each : (number + 1) * each]]:
            mixed += mine
    return mixed


@pytest.fixture
def unique_name() -> str:
    """A name no other test and no other run uses: lower case letters, digits and underscores."""
    return f"t_{_RUN}_{next(_NUMBER)}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL of this run. Do not stop it: a test that kills servers starts a PrivatePostgres."""
    try:
        with provide_postgres() as server:
            yield server
    except ServersMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def database(postgres: PostgresServer, unique_name: str) -> Iterator[str]:
    """The dsn of an empty database for this test alone."""
    yield postgres.create_database(unique_name)
    postgres.drop_database(unique_name)


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """The RabbitMQ of this run. Do not stop it: a test that kills brokers starts a PrivateRabbit."""
    try:
        with provide_rabbit() as server:
            yield server
    except ServersMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def vhost(rabbit: RabbitServer) -> Iterator[str]:
    """The amqp url of an empty vhost for this test alone."""
    name = rabbit.fresh_vhost()
    yield rabbit.url_of(name)
    rabbit.release_vhost(name)
