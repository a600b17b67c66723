"""kill -9 in every phase of a saga of every structure, on real servers.

    python -m tests.acceptance.structure_kills [--times 10] [--seconds 1800]

A phase is an event that a fault-free run records. The store tells of every commit as it happens; when a saga comes to a
phase that was not hit often enough, all orchestrators (in another round: all participants) are killed at once, and the
phases that sagas then stand in are what was hit. In the end the service's ledger is judged, and nothing else.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from saga.adapters.rabbitmq.topology import apply
from saga.adapters.system import SystemIds
from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.core.topology import wanted_topology
from tests.acceptance.evidence import rows
from tests.acceptance.hatchery import Hatchery
from tests.acceptance.structure import LEDGER, Order
from tests.acceptance.structure_law import Line, unfinished, wrong
from tests.integration.orders_place import Place
from tests.servers import PostgresServer, provide_postgres, provide_rabbit

ROOT = Path(__file__).parents[2]
KINDS = ("orchestrator", "participant")
FAULT_FREE = 3
"""Sagas that say what the phases are: those that all of them have."""
OPEN_MAX = 5
IDLE_SECONDS = 0.7
"""Without a wanted phase for so long, one more saga is started."""
SETTLE_SECONDS = 150.0
START_SECONDS = 60
SOON_SECONDS = 30.0
NOTICE_BYTES_MAX = 7_500
"""PostgreSQL takes notices of at most 8000."""
TELL = f"""
create function tell() returns trigger language plpgsql as $$ begin
    perform pg_notify('commits', new.saga || ' ' || new.version || ' ' ||
        case when length(new.data) < {NOTICE_BYTES_MAX} then convert_from(new.data, 'UTF8') else '[]' end);
    return null;
end $$
"""
TRIGGER = "create trigger tell after insert on history for each row execute function tell()"
TAILS = "select distinct on (saga) saga::text, version, data from history order by saga, version desc"

Phases = frozenset[str]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    problems: tuple[str, ...]
    """About ledgers and ends."""
    phases: Phases
    """To be hit, each for every kind of process."""
    hits: dict[str, Counter[str]]
    """How often each phase was hit, by kind of process killed."""
    counts: dict[str, int]

    def missed(self, times: int) -> dict[str, list[str]]:
        """Phases that were not hit so often."""
        found = {kind: sorted(phase for phase in self.phases if self.hits[kind][phase] < times) for kind in KINDS}
        return {kind: phases for kind, phases in found.items() if phases}


class Yard:
    """Orchestrators, participants, a store that tells what is committed, and a ledger."""

    def __init__(self, folder: Path, postgres: PostgresServer, amqp: str, *, each: int = 1) -> None:
        """`each` is how many processes there are of each kind."""
        number = time.time_ns()
        self.store = postgres.create_database(f"structure_{number}")
        self.ledger = postgres.create_database(f"structure_ledger_{number}")
        self.amqp = amqp
        self._each = each
        env = {
            **os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SAGA_AMQP": amqp, "SAGA_STORE": self.store,
        }  # fmt: skip
        self._env = env
        self.kills: Counter[str] = Counter()
        self.hatchery = Hatchery(folder, env, "saga.engine.worker", "tests.acceptance.structure")
        self.names: dict[str, str] = {}
        """Definitions by saga."""
        self.seen: dict[str, set[str]] = defaultdict(set)
        """Phases by saga."""
        self.news: asyncio.Queue[tuple[str, Phases]] = asyncio.Queue()
        self.started_count = 0
        self._starts: set[asyncio.Task[Any]] = set()
        self._watch: asyncpg.Connection[Any] | None = None
        self._caller: Client | None = None

    async def open(self, stack: AsyncExitStack) -> None:
        """Tables, definitions, queues, processes, and somebody who listens."""
        await self._cli("db", "migrate")
        await self._cli("definitions", "publish", "tests.acceptance.structure")
        await apply(self.amqp, wanted_topology(["guest"]))
        for database, statements in ((self.store, (TELL, TRIGGER)), (self.ledger, (LEDGER,))):
            connection = await asyncpg.connect(database)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()
        stack.callback(self.hatchery.close)
        self._watch = await asyncpg.connect(self.store)
        stack.push_async_callback(self._watch.close)
        await self._watch.add_listener("commits", self._heard)
        bus = await open_bus(self.amqp, name="caller")
        stack.push_async_callback(bus.close)
        self._caller = Client(bus, SystemIds(), name="caller")
        stack.push_async_callback(self._caller.close)
        for kind in KINDS:
            self._breed(kind)
        async with asyncio.timeout(SOON_SECONDS):
            while not all("started" in self.hatchery.output(name) for name in self.hatchery.pids):
                await asyncio.sleep(0.05)

    def start(self) -> None:
        """One saga more; its caller asks again until it is accepted."""
        assert self._caller is not None
        self.started_count += 1
        order = msgspec.json.encode(Order(id=f"order-{self.started_count}"))
        start = self._caller.start("built", order, within=timedelta(seconds=START_SECONDS))
        task = asyncio.create_task(start)
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def kill(self, kind: str) -> Phases:
        """All processes of this kind at once. Returns the phases that sagas stood in, before and after."""
        before = await self.tails()
        names = [name for name in self.hatchery.pids if name.startswith(kind)]
        self.hatchery.kill9(*names)
        self.kills[kind] += len(names)
        after = await self.tails()
        self._breed(kind)
        if kind == "orchestrator":  # nobody else commits: where they stand now is where they stood
            return frozenset(phase for _, phases in after.values() for phase in phases)
        stood = [phases for saga, (version, phases) in after.items() if before.get(saga, (0,))[0] == version]
        return frozenset(phase for phases in stood for phase in phases)

    async def tails(self) -> dict[str, tuple[int, Phases]]:
        """The last commit of every saga that is open, or has ended just now."""
        assert self._watch is not None
        return {row[0]: (row[1], self._phases(row[0], row[2])) for row in await self._watch.fetch(TAILS)}

    async def open_count(self) -> int:
        """Roots that have not ended, and starts that nobody has taken."""
        return len(self._starts) + int((await rows(self.store, MOVING))[0][0])

    async def ended(self) -> None:
        """Wait until every saga has ended, and nothing is on its way any more."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while await self.open_count():
                await asyncio.sleep(0.1)
        await Place(self.store, self.amqp).emptied("saga.commands.guest", "saga.commands.saga", "saga.replies")

    def _breed(self, kind: str) -> None:
        """Those of a kind."""
        serve = ("saga.cli", "serve", "tests.acceptance.structure:participant", "--migrate", "--database", self.ledger)
        command = ("tests.acceptance.impatient", "orchestrator") if kind == "orchestrator" else serve
        for number in range(self._each):
            self.hatchery.start(f"{kind}-{number}", *command)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        saga, _, data = str(payload).split(" ", 2)
        self.news.put_nowait((saga, self._phases(saga, data.encode())))

    def _phases(self, saga: str, data: bytes) -> Phases:
        """The phases that a commit brings a saga to: its events, each with the definition and the step it is about."""
        events = msgspec.json.decode(data)
        if events and events[0]["event"] == "SagaStarted":
            self.names[saga] = events[0]["name"]
        name = self.names.get(saga, "")
        found = frozenset(
            " ".join(filter(None, (name, each["event"], each.get("path"), each.get("kind")))) for each in events
        )
        self.seen[saga] |= found
        return found

    async def _cli(self, *arguments: str) -> None:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "saga.cli", *arguments, cwd=ROOT, env=self._env, stdout=asyncio.subprocess.DEVNULL
        )
        assert await running.wait() == 0, arguments


MOVING = "select count(*) from sagas where status in ('running', 'compensating')"
STATUSES = "select name, status, count(*) from sagas group by name, status"
LINES = "select family, step, what, key from ledger order by sequence"


async def run(yard: Yard, *, times: int, seconds: float) -> Verdict:
    """Learn the phases, then kill in each of them so often, for at most so long for each kind of process."""
    async with AsyncExitStack() as stack:
        await yard.open(stack)
        phases = await _fault_free(yard)
        hits = {kind: await _round(yard, kind, phases, times=times, seconds=seconds) for kind in KINDS}
        await yard.ended()
        await asyncio.to_thread(yard.hatchery.stop)
        return await _judged(yard, phases, hits)


async def _fault_free(yard: Yard) -> Phases:
    """What every undisturbed saga of a family records."""
    for _ in range(FAULT_FREE):
        yard.start()
    await yard.ended()
    families: dict[str, set[str]] = defaultdict(set)
    for saga, root in await rows(yard.store, "select id::text, root::text from sagas"):
        families[root] |= yard.seen[saga]
    assert len(families) == FAULT_FREE
    return frozenset(set.intersection(*families.values()))


async def _round(yard: Yard, kind: str, phases: Phases, *, times: int, seconds: float) -> Counter[str]:
    """Kill processes of one kind until each phase was hit so often; new sagas come as long as some are missing."""
    hits: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while (missing := {phase for phase in phases if hits[phase] < times}) and time.monotonic() < until:
        if await yard.open_count() < OPEN_MAX:
            yard.start()
        if await _arrives(yard, missing):
            hits.update(await yard.kill(kind))
    return hits


async def _arrives(yard: Yard, missing: Iterable[str]) -> bool:
    """Whether a saga comes to one of these phases before long."""
    wanted = frozenset(missing)
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            while True:
                _, phases = await yard.news.get()
                if phases & wanted and yard.news.empty():  # what is old is no phase that anybody stands in
                    return True
    except TimeoutError:
        return False


async def _judged(yard: Yard, phases: Phases, hits: dict[str, Counter[str]]) -> Verdict:
    families: dict[str, list[Line]] = {f"order-{number + 1}": [] for number in range(yard.started_count)}
    for family, step, what, key in await rows(yard.ledger, LINES):
        families[family].append(Line(step, what, key))
    problems = [f"{family}: {problem}" for family, lines in families.items() for problem in wrong(lines)]
    problems += [f"{family}: nothing was done" for family, lines in families.items() if not lines]
    for name, status, count in await rows(yard.store, STATUSES):
        if status != "compensated" and (name, status) != ("slow", "abandoned"):  # a sub-saga undone before it began
            problems.append(f"{count} sagas {name} are {status}")
    counts = {f"{kind}s killed": yard.kills[kind] for kind in KINDS}
    counts |= {"sagas": yard.started_count, "effects": sum(len(lines) for lines in families.values())}
    counts |= {"failed with work in flight": sum(unfinished(lines) > 0 for lines in families.values())}
    return Verdict(problems=tuple(problems), phases=phases, hits=hits, counts=counts)


def main(arguments: list[str] | None = None) -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.structure_kills", description="kill -9 in every phase of a saga."
    )
    parser.add_argument("--times", type=int, default=10, help="how often each phase is to be hit")
    parser.add_argument("--each", type=int, default=2, help="processes of each kind")
    parser.add_argument("--seconds", type=float, default=1800.0, help="for each kind of process")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="saga-structure-"))
    with provide_postgres() as postgres, provide_rabbit() as rabbit:
        yard = Yard(folder, postgres, rabbit.url_of(rabbit.fresh_vhost()), each=given.each)
        verdict = asyncio.run(run(yard, times=given.times, seconds=given.seconds))
    print(f"folder {folder}")
    for name, count in sorted(verdict.counts.items()):
        print(f"{count:8}  {name}")
    for phase in sorted(verdict.phases):
        print("  ".join(f"{verdict.hits[kind][phase]:4}" for kind in KINDS), phase)
    missed = [f"{kind}: never enough {phase}" for kind, some in verdict.missed(given.times).items() for phase in some]
    for problem in (*verdict.problems, *missed):
        print(problem)
    raise SystemExit(1 if verdict.problems or missed else 0)


if __name__ == "__main__":
    main()
