"""Where a run takes place: a private broker with least-privilege users, a private PostgreSQL, and processes."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from saga.core.definitions_file import SALT_BYTES, definitions_file, password_hash
from saga.core.topology import User, caller, deploy, orchestrator, participant, wanted_topology
from saga.demo.reference import PIECES, WORLD
from saga.settings import approvers_as_text
from services.world.behaviour import Settings
from services.world.crm import CrmSettings
from tests.acceptance.evidence import Places
from tests.acceptance.fleet import Fleet
from tests.servers import PrivatePostgres, PrivateRabbit

ROOT = Path(__file__).parents[2]
PASSWORD = "acceptance"
GREMLIN = User("gremlin", configure=".*", write=".*", read=".*", tags=("impersonator",))
"""It republishes other users' replies; `administrator` would not let it (measured on RabbitMQ 3.10.8)."""
MIGRATE_SECONDS = 60


class Troubles(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong by itself, as shares from 0 to 1."""

    carrier: Settings = Settings(
        refuse_rate=0.2, unavailable_rate=0.05, drop_before_rate=0.03, drop_after_rate=0.07, slow_rate=0.05
    )
    cloud: Settings = Settings(
        refuse_rate=0.25,
        unavailable_rate=0.04,
        drop_before_rate=0.03,
        drop_after_rate=0.08,
        slow_rate=0.1,
        slow_seconds=1,
    )
    crm: CrmSettings = CrmSettings(unavailable_rate=0.1, drop_after_rate=0.2)
    transient_rate: float = 0.1
    """Of handler runs of every service but notifications."""
    slow_rate: float = 0.0
    """Of the same: they take `slow_seconds` longer, so that a kill meets what is under way."""
    slow_seconds: float = 0.3
    mail_refuse_rate: float = 0.1


class Town:
    """Servers, databases, world and services of one run. `fleet` holds the processes; nothing runs before `open`."""

    def __init__(
        self,
        folder: Path,
        troubles: Troubles,
        *,
        orchestrators: int = 2,
        piece: str = "order",
        people: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`people` have roles, and are vouched for by the user `desk`."""
        self.folder = folder
        self._people = people or {}
        self.piece = PIECES[piece]
        self.troubles = troubles
        self.orchestrators = [f"orchestrator-{number}" for number in range(1, orchestrators + 1)]
        self.pulse = [*self.piece.services, *self.orchestrators]
        """What is killed, and kept running."""
        definitions = folder / "broker.json"
        definitions.write_bytes(_definitions(piece))
        self.postgres = PrivatePostgres()
        self.rabbit = PrivateRabbit(definitions=definitions, user=f"deploy:{PASSWORD}")
        self.fleet = Fleet(folder, {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"})
        self._databases: dict[str, str] = {}

    def open(self) -> None:
        """Start servers, migrate, publish the definition, and start every process."""
        self.postgres.start()
        self.rabbit.start()
        self._databases = {name: self.postgres.create_database(name) for name in ("saga", *self.piece.services)}
        self._saga("db", "migrate")
        self._saga("definitions", "publish", self.piece.module)
        self._start_world()
        for name in self.piece.services:
            self._add_service(name)
        for name in self.orchestrators:
            amqp = self.amqp("orchestrator")
            people = (
                {"SAGA_GATEWAYS": "desk", "SAGA_APPROVERS": approvers_as_text(self._people)} if self._people else {}
            )
            self.fleet.add(name, "saga.cli", "--amqp", amqp, "--store", self._databases["saga"], "run", **people)
        self.fleet.start()
        for name in self.pulse:
            self.fleet.members[name].wait_for("started")

    def amqp(self, user: str) -> str:
        """The broker's address for a user."""
        return f"amqp://{user}:{PASSWORD}@{self.rabbit.host}:{self.rabbit.port}/%2F"

    @property
    def store(self) -> str:
        """The engine's database."""
        return self._databases["saga"]

    def database(self, service: str) -> str:
        """A service's own."""
        return self._databases[service]

    def books(self, outside: str) -> Path:
        """What a business of the outside world writes down."""
        return self.folder / WORLD[outside].books

    @property
    def places(self) -> Places:
        """Where the evidence about orders is."""
        return Places(
            store=self._databases["saga"],
            inventory=self._databases["inventory"],
            payments=self._databases["payments"],
            inboxes=tuple(self._databases[name] for name in self.piece.services),
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
        for name in self.piece.world:
            options = [f"--{option}={value}" for option, value in self._misbehaviour(name).items()]
            books = str(self.books(name))
            self.fleet.add(name, f"services.world.{name}", "--port", "0", "--books", books, *options)
        self.fleet.start()

    def _misbehaviour(self, outside: str) -> dict[str, object]:
        if outside == "mailsink":
            return {"refuse-rate": self.troubles.mail_refuse_rate}
        rates = msgspec.to_builtins(getattr(self.troubles, outside))
        known = {name: value for name, value in rates.items() if name != "scripts" and value is not None}
        return {name.replace("_", "-"): value for name, value in known.items()}

    def _add_service(self, name: str) -> None:
        addresses = {
            WORLD[outside].address: self.fleet.members[outside].wait_for("ready on").split()[3]
            for outside in self.piece.world
        }
        settings = {
            **addresses,
            "SAGA_FAULT_TRANSIENT_RATE": str(self.troubles.transient_rate),
            "SAGA_FAULT_SLOW_RATE": str(self.troubles.slow_rate),
            "SAGA_FAULT_SLOW_SECONDS": str(self.troubles.slow_seconds),
        }
        command = ["--amqp", self.amqp(name), "serve", f"services.{name}:participant", "--migrate"]
        self.fleet.add(name, "saga.cli", *command, "--database", self._databases[name], **settings)

    def _saga(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "saga.cli", "--store", self._databases["saga"], *arguments]
        subprocess.run(command, cwd=ROOT, check=True, timeout=MIGRATE_SECONDS)


def _definitions(piece: str) -> bytes:
    services = PIECES[piece].services
    users = [
        orchestrator(),
        deploy(),
        *(participant(name) for name in services),
        caller("driver", starts=[piece], controls=["cancel"]),
        caller("desk", controls=["decide"]),
        GREMLIN,
    ]
    hashes = {user.name: password_hash(PASSWORD, secrets.token_bytes(SALT_BYTES)) for user in users}
    return definitions_file(wanted_topology(services, users), vhost="/", password_hashes=hashes)
