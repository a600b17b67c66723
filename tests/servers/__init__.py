"""Servers for tests: found in the environment, in Docker or as binaries on this machine; never skipped."""

from tests.servers.binaries import ServersMissing
from tests.servers.postgres import PostgresServer, PrivatePostgres
from tests.servers.provide import provide_postgres, provide_rabbit
from tests.servers.rabbit import PrivateRabbit, RabbitServer

__all__ = [
    "PostgresServer",
    "PrivatePostgres",
    "PrivateRabbit",
    "RabbitServer",
    "ServersMissing",
    "provide_postgres",
    "provide_rabbit",
]
