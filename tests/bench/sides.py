"""The sides that are measured, behind one face: made ready once, started and stopped for each round."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.bench.stage import EFFECTS, Caller, Stage, python, whole_orders
from tests.servers.binaries import free_port
from tests.servers.process import ServerProcess

DEFINITION = "tests.bench.ours.definition"
PARTICIPANT = "tests.bench.ours.participant"
STARTED_SECONDS = 30
DBOS_WORKERS = 2
DBOS_WORKER_CONCURRENCY = 50
DBOS_POLLING_SECONDS = 0.1
DBOS_POOL_CONNECTIONS = 20
DBOS_ENQUEUE_THREADS = 4


class Side(Protocol):
    """One way to carry out four-step orders."""

    name: str
    what: str
    share: float
    """Of the orders asked for in each round: a fast side gets more of them, so that rounds last about as long."""
    settings: dict[str, str]

    def prepare(self) -> None:
        """Make databases and tables, once."""
        ...

    def start(self) -> "Running":
        """Start the processes of a round."""
        ...


class Running:
    """The processes of a side during one round."""

    def __init__(self, members: dict[str, ServerProcess], caller: Caller, database: str) -> None:
        self._members = members
        self.caller = caller
        self._database = database

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {**{name: member.pid for name, member in self._members.items()}, "caller": self.caller.pid}

    def check(self, prefix: str, count: int) -> None:
        """Raise AssertionError unless each order of the prefix had all its effects exactly once."""
        whole, rows = asyncio.run(whole_orders(self._database, prefix))
        assert (whole, rows) == (count, 4 * count), f"{prefix}: {whole} of {count} orders whole, {rows} rows"

    def stop(self) -> None:
        """End all; the caller first, the rest after they drained."""
        self.caller.close()
        for member in self._members.values():
            member.terminate()


class Ours:
    """The engine: its command line, as a user runs it."""

    what = "saga engine: inbox, publish and consume over quorum queues"
    share = 1.0

    def __init__(
        self, stage: Stage, *, orchestrators: int, participants: int, in_flight: int, together: bool = False
    ) -> None:
        self._stage = stage
        self._target = "together" if together else "alone"
        self.name = "ours-16" if together else "ours"
        self._counts = {"orchestrator": orchestrators, "participant": participants}
        self._in_flight = in_flight
        self.store = self._database = ""
        """Of the engine; one that is there already is taken as it is."""
        self.profiles: Path | None = None
        self.env: dict[str, str] = {}
        self.settings = {
            "processes": f"{orchestrators} orchestrator, {participants} participant, 1 caller",
            "in flight": f"{in_flight} orders",
            "commands_per_transaction": "16" if together else "1, the default",
        }

    def prepare(self) -> None:
        self.store = self.store or self._stage.postgres.create_database(f"{self.name}-saga")
        self._database = self._stage.postgres.create_database(self.name)
        for arguments in (["db", "migrate"], ["definitions", "publish", DEFINITION]):
            self._stage.run(*python("saga.cli", "--store", self.store, *arguments))

    def start(self) -> Running:
        members: dict[str, ServerProcess] = {}
        for role, count in self._counts.items():
            for number in range(1, count + 1):
                name = f"{role} {number}"
                profile = self.profiles / f"{role}-{number}.profile" if self.profiles else None
                members[name] = self._stage.process(name, *python(*self._command(role), profile=profile), **self.env)
                _await(members[name], "started")
        caller = Caller(*python("tests.bench.caller", self._stage.amqp("driver"), str(self._in_flight)))
        return Running(members, caller, self._database)

    def _command(self, role: str) -> Sequence[str]:
        if role == "orchestrator":
            return ["saga.cli", "--amqp", self._stage.amqp("orchestrator"), "--store", self.store, "run"]
        serve = ["serve", f"{PARTICIPANT}:{self._target}", "--migrate", "--database", self._database]
        return ["saga.cli", "--amqp", self._stage.amqp("bench"), *serve]


class Traced:
    """The engine again, with every saga traced: its own spans and those of its participants."""

    name = "traced"
    what = "saga engine, with traces sent to a backend that keeps nothing"
    share = 1.0

    def __init__(self, stage: Stage, ours: Ours) -> None:
        self._stage = stage
        self._ours = ours
        self._port = free_port()
        self.settings = {**ours.settings, "traces": "all, engine and participants"}
        ours.name = self.name
        ours.env = {"SAGA_OTLP": f"http://127.0.0.1:{self._port}"}

    def prepare(self) -> None:
        _await(self._stage.process("sink", *python("tests.bench.sink", str(self._port))), "started")
        self._ours.prepare()

    def start(self) -> Running:
        return self._ours.start()


class Floor:
    """The same messages and rows without an engine."""

    name = "floor"
    what = "no engine: the same messages and rows, one insert a batch"
    share = 2.0

    def __init__(self, stage: Stage, *, in_flight: int) -> None:
        self._stage = stage
        self._in_flight = in_flight
        self._database = ""
        self.settings = {"processes": "1 orchestrator, 1 participant, 1 caller", "in flight": f"{in_flight} orders"}

    def prepare(self) -> None:
        self._database = self._stage.postgres.create_database("floor")
        self._stage.run(*python("tests.bench.floor.prepare", self._database))

    def start(self) -> Running:
        members: dict[str, ServerProcess] = {}
        for role, user in (("orchestrator", "orchestrator"), ("participant", "floor")):
            module = f"tests.bench.floor.{role}"
            members[role] = self._stage.process(
                f"floor {role}", *python(module, self._stage.amqp(user), self._database)
            )
            _await(members[role], "started")
        caller = Caller(*python("tests.bench.floor.caller", self._stage.amqp("driver"), str(self._in_flight)))
        return Running(members, caller, self._database)


class Dbos:
    """DBOS Transact as its own guide sets it up: a queue, worker processes, a client that enqueues."""

    share = 0.25

    def __init__(self, stage: Stage, interpreter: Path, how: str) -> None:
        self._stage = stage
        self._python = str(interpreter)
        self._how = how
        self._database = ""
        transaction = how == "transaction"
        self.name = "dbos" if transaction else "dbos-step"
        self.what = (
            "DBOS: each step a datasource transaction, row and record at once"
            if transaction
            else "DBOS: plain steps, row and record in two transactions (a step may happen twice)"
        )
        self.settings = {
            "processes": f"{DBOS_WORKERS} workers, 1 caller",
            "worker_concurrency": str(DBOS_WORKER_CONCURRENCY),
            "polling_interval_sec": str(DBOS_POLLING_SECONDS),
            "sys_db_pool_size": str(DBOS_POOL_CONNECTIONS),
            "pool_pre_ping": "off",
            "isolation": "READ COMMITTED",
        }

    def prepare(self) -> None:
        self._database = self._stage.postgres.create_database(self.name)
        command = [self._python, "-m", "tests.bench.dbos.prepare", self._database]
        self._stage.run(*command, str(DBOS_WORKER_CONCURRENCY), str(DBOS_POLLING_SECONDS), text=EFFECTS.read_text())

    def start(self) -> Running:
        members: dict[str, ServerProcess] = {}
        for number in range(1, DBOS_WORKERS + 1):
            command = [self._python, "-m", "tests.bench.dbos.worker", str(number), self._database, self._how]
            members[f"worker {number}"] = self._stage.process(
                f"{self.name} worker {number}", *command, str(DBOS_POOL_CONNECTIONS)
            )
            _await(members[f"worker {number}"], "started")
        command = [self._python, "-m", "tests.bench.dbos.caller", self._database, str(DBOS_ENQUEUE_THREADS)]
        return Running(members, Caller(*command), self._database)


def _await(process: ServerProcess, words: str) -> None:
    process.wait_until(lambda: words in process.log.read_text(errors="replace"), seconds=STARTED_SECONDS)
