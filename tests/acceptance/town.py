"""Where a run takes place: a private broker with least-privilege users, a private PostgreSQL, and processes."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import msgspec

from saga.core.definitions_file import SALT_BYTES, definitions_file, password_hash
from saga.core.topology import User, caller, deploy, orchestrator, participant, wanted_topology
from services.world.behaviour import Settings
from tests.acceptance.evidence import Places
from tests.acceptance.fleet import Fleet
from tests.servers import PrivatePostgres, PrivateRabbit

ROOT = Path(__file__).parents[2]
SERVICES = ("inventory", "payments", "shipping", "notifications")
PASSWORD = "acceptance"
GREMLIN = User("gremlin", configure=".*", write=".*", read=".*", tags=("impersonator",))
"""It republishes other users' replies; `administrator` would not let it (measured on RabbitMQ 3.10.8)."""
MIGRATE_SECONDS = 60


class Troubles(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong by itself, as shares from 0 to 1."""

    carrier: Settings = Settings(
        refuse_rate=0.2, unavailable_rate=0.05, drop_before_rate=0.03, drop_after_rate=0.07, slow_rate=0.05
    )
    transient_rate: float = 0.1
    """Of handler runs of inventory, payments and shipping."""
    mail_refuse_rate: float = 0.1


class Town:
    """Servers, databases, world and services of one run. `fleet` holds the processes; nothing runs before `open`."""

    def __init__(self, folder: Path, troubles: Troubles, *, orchestrators: int = 2) -> None:
        self.folder = folder
        self.troubles = troubles
        self.orchestrators = [f"orchestrator-{number}" for number in range(1, orchestrators + 1)]
        self.pulse = [*SERVICES, *self.orchestrators]
        """What is killed, and kept running."""
        definitions = folder / "broker.json"
        definitions.write_bytes(_definitions())
        self.postgres = PrivatePostgres()
        self.rabbit = PrivateRabbit(definitions=definitions, user=f"deploy:{PASSWORD}")
        self.fleet = Fleet(folder, {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"})
        self._databases: dict[str, str] = {}

    def open(self) -> None:
        """Start servers, migrate, publish the definition, and start every process."""
        self.postgres.start()
        self.rabbit.start()
        self._databases = {name: self.postgres.create_database(name) for name in ("saga", *SERVICES)}
        self._saga("db", "migrate")
        self._saga("definitions", "publish", "services.ordering.definitions")
        self._start_world()
        for name in SERVICES:
            self._add_service(name)
        for name in self.orchestrators:
            amqp = self.amqp("orchestrator")
            self.fleet.add(name, "saga.cli", "--amqp", amqp, "--store", self._databases["saga"], "run")
        self.fleet.start()
        for name in self.pulse:
            self.fleet.members[name].wait_for("started")

    def amqp(self, user: str) -> str:
        """The broker's address for a user."""
        return f"amqp://{user}:{PASSWORD}@{self.rabbit.host}:{self.rabbit.port}/%2F"

    @property
    def places(self) -> Places:
        """Where the evidence is."""
        return Places(
            store=self._databases["saga"],
            inventory=self._databases["inventory"],
            payments=self._databases["payments"],
            inboxes=tuple(self._databases[name] for name in SERVICES),
            carrier=self.folder / "carrier.jsonl",
            mail=self.folder / "mail.jsonl",
            log=self.folder / "driver.jsonl",
        )

    def close(self) -> None:
        """End everything that was started."""
        self.fleet.close()
        self.rabbit.close()
        self.postgres.close()

    def _start_world(self) -> None:
        rates = msgspec.to_builtins(self.troubles.carrier)
        options = [f"--{name.replace('_', '-')}={value}" for name, value in rates.items() if name != "scripts"]
        places = ("--port", "0", "--books")
        self.fleet.add("carrier", "services.world.carrier", *places, str(self.places.carrier), *options)
        refused = f"--refuse-rate={self.troubles.mail_refuse_rate}"
        self.fleet.add("mailsink", "services.world.mailsink", *places, str(self.places.mail), refused)
        self.fleet.start()

    def _add_service(self, name: str) -> None:
        settings = {
            "SAGA_CARRIER_URL": self.fleet.members["carrier"].wait_for("ready on").split()[3],
            "SAGA_SMTP_URL": self.fleet.members["mailsink"].wait_for("ready on").split()[3],
            "SAGA_FAULT_TRANSIENT_RATE": str(self.troubles.transient_rate),
        }
        command = ["--amqp", self.amqp(name), "serve", f"services.{name}:participant", "--migrate"]
        self.fleet.add(name, "saga.cli", *command, "--database", self._databases[name], **settings)

    def _saga(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "saga.cli", "--store", self._databases["saga"], *arguments]
        subprocess.run(command, cwd=ROOT, check=True, timeout=MIGRATE_SECONDS)


def _definitions() -> bytes:
    users = [
        orchestrator(),
        deploy(),
        *(participant(name) for name in SERVICES),
        caller("driver", starts=["order"], controls=["cancel"]),
        GREMLIN,
    ]
    hashes = {user.name: password_hash(PASSWORD, secrets.token_bytes(SALT_BYTES)) for user in users}
    return definitions_file(wanted_topology(SERVICES, users), vhost="/", password_hashes=hashes)
