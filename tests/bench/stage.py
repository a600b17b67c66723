"""What all sides share: one RabbitMQ and one PostgreSQL of our own, as durable as in production, and processes."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import asyncpg
import msgspec

from saga.core.definitions_file import SALT_BYTES, definitions_file, password_hash
from saga.core.topology import User, caller, deploy, orchestrator, participant, wanted_topology
from tests.bench.figures import Placed
from tests.servers import PrivatePostgres, PrivateRabbit
from tests.servers.process import ServerProcess
from tests.servers.reaper import REAPER

ROOT = Path(__file__).parents[2]
EFFECTS = Path(__file__).parent / "ours" / "migrations" / "0001_effects.sql"
PASSWORD = "bench"
SERVICES = ("bench", "floor")
STEPS_COUNT = 4
SETUP_SECONDS = 120

_WHOLE = """
    select count(*) from (
        select order_id from effects where order_id like $1
        group by order_id having count(*) = $2 and count(distinct step) = $2
    ) as whole
"""


class Stage:
    """The servers of a run. A context manager; `folder` takes what processes print."""

    def __init__(self, folder: Path, services: Sequence[str] = SERVICES, users: Sequence[User] = ()) -> None:
        self.folder = folder
        definitions = folder / "broker.json"
        definitions.write_bytes(_definitions(services, users))
        self.postgres = PrivatePostgres()
        self.rabbit = PrivateRabbit(definitions=definitions, user=f"deploy:{PASSWORD}")

    def __enter__(self) -> Self:
        self.postgres.start()
        self.rabbit.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rabbit.close()
        self.postgres.close()

    def amqp(self, user: str) -> str:
        """The broker's address for a user."""
        return f"amqp://{user}:{PASSWORD}@{self.rabbit.host}:{self.rabbit.port}/%2F"

    def process(self, name: str, *command: str, **env: str) -> ServerProcess:
        """Start a process that ends with this run; what it prints is in its folder."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "output.log").unlink(missing_ok=True)
        return ServerProcess(command, folder=folder, env={**environment(), **env})

    def run(self, *command: str, text: str = "") -> None:
        """Run a command to its end. Raises CalledProcessError."""
        subprocess.run(
            command, cwd=ROOT, env=environment(), check=True, timeout=SETUP_SECONDS, input=text, text=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def servers(self) -> dict[str, int]:
        """Their process ids."""
        return {"rabbitmq": self.rabbit.pid, "postgres": self.postgres.pid}


class Caller:
    """The process that places orders."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        REAPER.watch(self.pid, ROOT / "nowhere")
        self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid

    def place(self, prefix: str, count: int) -> Placed:
        """Place orders and wait until all have ended. Raises RuntimeError when the caller gave up."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{prefix} {count}\n")
        self._process.stdin.flush()
        return msgspec.convert(self._answer(), Placed)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()  # waits, and closes the pipes
        REAPER.forget(self.pid, ROOT / "nowhere")

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)


def environment() -> dict[str, str]:
    """Of every process: ours to import, nothing of the user's settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SAGA_", "DBOS"))}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def python(*arguments: str, profile: Path | None = None) -> Sequence[str]:
    """A command of this environment; `profile` is where its cProfile goes."""
    measured = ["-m", "cProfile", "-o", str(profile)] if profile else []
    return [sys.executable, *measured, "-m", *arguments]


async def whole_orders(database: str, prefix: str) -> tuple[int, int]:
    """Orders with all their steps done exactly once, and rows altogether."""
    connection = await asyncpg.connect(database)
    try:
        whole = await connection.fetchval(_WHOLE, f"{prefix}-%", STEPS_COUNT)
        rows = await connection.fetchval("select count(*) from effects where order_id like $1", f"{prefix}-%")
    finally:
        await connection.close()
    return int(whole), int(rows)


def _definitions(services: Sequence[str], others: Sequence[User]) -> bytes:
    users = [
        orchestrator(),
        deploy(),
        *(participant(name) for name in services),
        caller("driver", starts=["bench", "floor"]),
        *others,
    ]
    hashes = {user.name: password_hash(PASSWORD, secrets.token_bytes(SALT_BYTES)) for user in users}
    return definitions_file(wanted_topology(services, users), vhost="/", password_hashes=hashes)
