"""Where it is measured: services, users and stores of this benchmark on the stage of the others."""

import time
from collections.abc import Callable

from saga.core.topology import User, caller
from tests.bench.sides import Ours
from tests.bench.stage import SERVICES, Stage, python
from tests.bench.waiting.approving import APPROVER
from tests.bench.waiting.contracts import BELLS, LETTERS
from tests.bench.waiting.definitions import ROLE
from tests.servers.process import ServerProcess

DESK = "desk"
ALL_SERVICES = (*SERVICES, LETTERS, BELLS)
LOOK_SECONDS = 0.5
STARTED_SECONDS = 60

Told = Callable[[str], None]


def desk() -> User:
    """Whose decisions count."""
    return caller(DESK, controls=["decide"])


def store_url(stage: Stage, name: str) -> str:
    """A store of its own; of which kind, its name begins with."""
    if name.startswith("sqlite"):
        return f"sqlite:///{stage.folder / name}.sqlite"
    return stage.postgres.create_database(name)


class Waiting(Ours):
    """The engine beside a store in which sagas wait."""

    def __init__(self, stage: Stage, name: str, waiting: int, fillers: int) -> None:
        super().__init__(stage, orchestrators=1, participants=2, in_flight=400)
        self.name, self.waiting = name, waiting
        self.prefixes = [f"w{number}" for number in range(1, fillers + 1)]
        """Of the keys of those that wait: one for each process that fills."""
        self.store = store_url(stage, f"{name}-saga")
        self.env = {"SAGA_GATEWAYS": DESK, "SAGA_APPROVERS": f"{APPROVER}={ROLE}"}


def fill_with_letters(stage: Stage, side: Waiting, told: Told) -> float:
    """By processes of their own; how many seconds it took. Raises RuntimeError when one fails."""
    begun = time.monotonic()
    share = str(side.waiting // len(side.prefixes))
    command = python("tests.bench.waiting.filling", side.store, "letters")
    running = [stage.process(f"fill {prefix}", *command, prefix, share) for prefix in side.prefixes]
    lines: set[str] = set()
    while any(each.running for each in running):
        time.sleep(LOOK_SECONDS)
        for line in {line for each in running for line in each.log.read_text().splitlines()} - lines:
            lines.add(line)
            told(line)
    failed = [each.log.read_text()[-2_000:] for each in running if each.exit_code != 0]
    if failed:
        raise RuntimeError(failed[0])
    return round(time.monotonic() - begun, 1)


def orchestrators(stage: Stage, url: str, count: int) -> list[ServerProcess]:
    """So many, at work."""
    command = ["saga.cli", "--amqp", stage.amqp("orchestrator"), "--store", url, "run"]
    running = [stage.process(f"orchestrator {number}", *python(*command)) for number in range(1, count + 1)]
    for each in running:
        each.wait_until(lambda log=each.log: "started" in log.read_text(), seconds=STARTED_SECONDS)  # type: ignore[misc]  # bound at once
    return running
