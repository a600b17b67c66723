"""Servers in containers, where a Docker engine really answers."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import asyncpg

from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer, speaks_amqp

POSTGRES_IMAGE = "postgres:17-alpine"
RABBIT_IMAGE = "rabbitmq:4.1-alpine"
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
ANSWER_SECONDS = 5
READY_SECONDS = 120


def docker_answers() -> bool:
    """Ask the engine itself: the client is often installed without one."""
    engine = urlsplit(os.environ.get("DOCKER_HOST") or DEFAULT_ENGINE)
    try:
        with _connect(engine.path if engine.scheme == "unix" else (engine.hostname or "", engine.port or 2375)) as wire:
            wire.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return wire.recv(64).startswith(b"HTTP/")
    except OSError:
        return False


def _connect(address: str | tuple[str, int]) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    wire.settimeout(ANSWER_SECONDS)
    try:
        wire.connect(address)
    except OSError:
        wire.close()
        raise
    return wire


@contextmanager
def docker_postgres() -> Iterator[PostgresServer]:
    from testcontainers.core.container import DockerContainer  # slow to import, and seldom needed

    with DockerContainer(POSTGRES_IMAGE).with_env("POSTGRES_PASSWORD", "test").with_exposed_ports(5432) as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(5432)
        server = PostgresServer(f"postgresql://postgres:test@{host}:{port}/postgres")

        def ready() -> bool:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return bool(server.execute("SELECT 1"))
            return False

        _wait_until(ready)
        yield server


@contextmanager
def docker_rabbit() -> Iterator[RabbitServer]:
    from testcontainers.core.container import DockerContainer

    with DockerContainer(RABBIT_IMAGE).with_exposed_ports(5672) as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(5672)

        def ctl(*arguments: str) -> str:
            done = container.exec(["rabbitmqctl", "-q", *arguments])
            if done.exit_code:
                raise RuntimeError(f"rabbitmqctl {arguments} failed:\n{done.output.decode()}")
            return done.output.decode()

        _wait_until(lambda: speaks_amqp(host, port))
        yield RabbitServer(f"amqp://guest:guest@{host}:{port}/", ctl)


def _wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the container was not ready after {READY_SECONDS} s")
        time.sleep(0.2)
