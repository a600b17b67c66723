"""The order in which tests look for servers: environment, Docker, binaries; else the run fails and says what to do."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.servers.binaries import ServersMissing
from tests.servers.docker import docker_answers, docker_postgres, docker_rabbit
from tests.servers.postgres import PostgresServer, PrivatePostgres
from tests.servers.rabbit import PrivateRabbit, RabbitServer, run_ctl

POSTGRES_VARIABLE = "SAGA_TEST_POSTGRES"
AMQP_VARIABLE = "SAGA_TEST_AMQP"
# How to reach rabbitmqctl for that address, for example "docker exec broker rabbitmqctl": vhosts are made with it.
CTL_VARIABLE = "SAGA_TEST_RABBITMQCTL"


@contextmanager
def provide_postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL of this run. Raises ServersMissing."""
    if dsn := os.environ.get(POSTGRES_VARIABLE):
        given = PostgresServer(dsn)
        yield given
        given.release()
    elif docker_answers():
        with docker_postgres() as server:
            yield server
    else:
        # What maintenance reads keeps dead rows in their pages, and nothing here lives long enough to need it.
        with PrivatePostgres(config="autovacuum = off") as private:
            yield private


@contextmanager
def provide_rabbit() -> Iterator[RabbitServer]:
    """The RabbitMQ of this run. Raises ServersMissing."""
    if url := os.environ.get(AMQP_VARIABLE):
        given = RabbitServer(url, _ctl_for(url))
        yield given
        given.release()
    elif docker_answers():
        with docker_rabbit() as server:
            yield server
    else:
        with PrivateRabbit() as private:
            yield private


def _ctl_for(url: str) -> Callable[..., str]:
    """A rabbitmqctl that reaches the broker of the address. Raises ServersMissing when there is none."""
    command = os.environ.get(CTL_VARIABLE, "").split()
    local = urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
    if not command and local and (found := shutil.which("rabbitmqctl")):
        command = [found]
    if not command:
        raise ServersMissing("way to create vhosts", "rabbitmq-server", CTL_VARIABLE)
    return lambda *arguments: run_ctl([*command, "-q", *arguments])
