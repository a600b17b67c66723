"""Where server binaries are on Debian, Ubuntu or in PATH, and which ports are free for them."""

import random
import shutil
import socket
import sys
from pathlib import Path

# Debian's rabbitmq-server in PATH is a wrapper that changes user through su, which stops itself when its child is
# stopped. The scripts in the package's own folder are the real ones.
RABBIT_FOLDER = "usr/lib/rabbitmq/bin"
POSTGRES_FOLDER = "usr/lib/postgresql/*/bin"

# Below the range from which the kernel takes ports for outgoing connections: a server that is down for a moment
# must find its port still free.
PORT_MIN = 20_000
PORT_MAX = 32_000
_RESERVATIONS: list[socket.socket] = []


class ServersMissing(Exception):
    """Neither an address, nor Docker, nor binaries: the text says what would provide the server."""

    def __init__(self, server: str, package: str, variable: str) -> None:
        super().__init__(server, package, variable)
        self.server = server
        self.package = package
        self.variable = variable

    def __str__(self) -> str:
        return (
            f"no {self.server} for the tests. One of these provides it:\n"
            f"  apt-get update && apt-get install -y --no-install-recommends {self.package}    (or: make servers)\n"
            f"  a running Docker engine\n"
            f"  {self.variable}=... the address of a server that the tests may fill and empty"
        )


def rabbit_binaries() -> Path:
    """The folder with rabbitmq-server and rabbitmqctl. Raises ServersMissing."""
    folder = find_folder("rabbitmq-server", RABBIT_FOLDER)
    if folder is None:
        raise ServersMissing("RabbitMQ", "rabbitmq-server", "SAGA_TEST_AMQP")
    return folder


def postgres_binaries() -> Path:
    """The folder with postgres and initdb, of the newest version there is. Raises ServersMissing."""
    folder = find_folder("postgres", POSTGRES_FOLDER)
    if folder is None:
        raise ServersMissing("PostgreSQL", "postgresql", "SAGA_TEST_POSTGRES")
    return folder


def find_folder(name: str, package_folder: str) -> Path | None:
    """The folder that holds the executable: the newest of the package's own folders first, then PATH."""
    for folder in sorted(Path("/").glob(package_folder), key=_version, reverse=True):
        if shutil.which(name, path=folder):
            return folder
    found = shutil.which(name)
    return Path(found).resolve().parent if found else None


def _version(folder: Path) -> int:
    return max((int(part) for part in folder.parts if part.isdigit()), default=0)


def free_port() -> int:
    """A loopback port nobody listens on now, and that no other test process on this machine draws while this one runs.

    The reservation is an abstract socket: it ends with the process, however that ends.
    """
    while True:
        port = random.SystemRandom().randrange(PORT_MIN, PORT_MAX)
        reservation = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                if sys.platform == "linux":  # nowhere else are there abstract sockets, and runs are seldom parallel
                    reservation.bind(f"\0saga-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                reservation.close()
                continue
        _RESERVATIONS.append(reservation)
        return port
