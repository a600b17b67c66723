"""PostgreSQL for tests: any server with a fresh database for each test, and a private one to kill and freeze."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tests.servers.binaries import free_port, postgres_binaries
from tests.servers.process import ServerProcess

START_SECONDS = 30
EMPTY = "template0"


class PostgresServer:
    """A server on which the tests may create databases, wherever it runs; `dsn` names a database to start from."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._templates: dict[str, str] = {}

    @cached_property
    def version(self) -> str:
        return self.execute("SHOW server_version").split()[0]

    def create_database(self, name: str, *, template: str = EMPTY) -> str:
        """Create it as a copy of the template, in about 40 ms. Returns its dsn."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.dsn_of(name)

    def drop_database(self, name: str) -> None:
        """Drop it with whatever is still connected; no error when it is not there."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """A database to copy: prepared once for this server (migrations, say), then only copied. Returns its name."""
        if name not in self._templates:
            self.drop_database(name)
            prepare(self.create_database(name))
            self._templates[name] = name
        return name

    def release(self) -> None:
        """Remove the templates that were made."""
        for name in self._templates:
            self.drop_database(name)
        self._templates = {}

    def dsn_of(self, database: str) -> str:
        parts = urlsplit(self.dsn)
        return urlunsplit((parts.scheme, parts.netloc, "/" + quote(database, safe=""), parts.query, ""))

    def execute(self, sql: str) -> str:
        """Run one statement in autocommit; the first value it returns, as text."""
        # In a thread: the caller may be a coroutine whose loop is running, and a fixture must not touch its loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._execute(sql)).result()

    async def _execute(self, sql: str) -> str:
        connection = await asyncpg.connect(self.dsn, timeout=10, command_timeout=30)
        try:
            return str(await connection.fetchval(sql))
        finally:
            await connection.close()


class PrivatePostgres(PostgresServer):
    """A server of our own on a free loopback port with its own data folder; as durable as a real one.

    Every method blocks, `start` for about half a second.
    """

    def __init__(self, *, config: str = "") -> None:
        self.binaries = postgres_binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="saga-postgres-"))
        self.host, self.port = "127.0.0.1", free_port()
        super().__init__(f"postgresql://postgres@{self.host}:{self.port}/postgres")
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._data = self.folder / "data"
        self._config = config
        self._node: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start, with the data that is there, and wait until it takes connections."""
        if not self._data.exists():
            self._initialise()
        command = [str(self.binaries / "postgres"), "-D", str(self._data)]
        self._node = ServerProcess(command, folder=self.folder, env=self._environment(), user=self._user)
        self._node.wait_until(self._ready, seconds=START_SECONDS)

    def stop(self) -> None:
        """Shut down fast but in order: connections are cut, nothing has to be recovered."""
        if self._node is not None:
            self._node.terminate(signal.SIGINT)

    def kill9(self) -> None:
        """Kill the server and all its children; the next start recovers from the log."""
        self._running().kill9()

    def sigstop(self) -> None:
        """Freeze: connections stay open, nothing answers."""
        self._running().freeze()

    def sigcont(self) -> None:
        self._running().thaw()

    def close(self) -> None:
        """End the server and remove its folder."""
        if self._node is not None:
            self._node.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _running(self) -> ServerProcess:
        assert self._node is not None, "start it first"
        return self._node

    def _initialise(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [str(self.binaries / "initdb"), "-D", str(self._data), *options],
            cwd=self.folder,
            env=self._environment(),
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"port = {self.port}\nlisten_addresses = '{self.host}'\nunix_socket_directories = ''\n"
                f"fsync = on\nsynchronous_commit = on\nmax_connections = 200\ntimezone = 'UTC'\n{self._config}\n"
            )

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return env | {"HOME": str(self.folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def _ready(self) -> bool:
        # The server writes its state into line 8; after a crash the file still tells about the one before.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
