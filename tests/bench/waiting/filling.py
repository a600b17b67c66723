"""Fills a store with sagas that wait, through the engine's own step: messages in, decisions, its commits in batches.

    python -m tests.bench.waiting.filling STORE letters PREFIX COUNT
    python -m tests.bench.waiting.filling STORE alarms PREFIX COUNT DUE_AT

Only the broker is missing: what the engine would send is answered here. A row and its history are those of a saga that
came over RabbitMQ, its alarm included; a test compares them.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from saga.adapters.memory.bus import MemoryBroker, MemoryBus
from saga.bootstrap.definitions import publish
from saga.core.messages import CommandMessage, Outcome, ReplyEffect, ReplyMessage, StartMessage
from saga.core.topology import wanted_topology
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.ports import Clock, Ids, Store
from saga.stores import CLOCK, IDS, open_store
from tests.bench.waiting.contracts import Alarm, Drafted, Job
from tests.bench.waiting.definitions import alarm, letter

BATCH_SAGAS = 500
LETTER_LINES = 6
DUE_SPREAD = timedelta(seconds=1)
PROGRESS_SECONDS = 5.0

Told = Callable[[int], None]


class Filler:
    """One orchestrator without a broker."""

    def __init__(self, store: Store, machine: Clock = CLOCK, ids: Ids = IDS) -> None:
        settings = EngineSettings()
        catalog, clock = Catalog(store, machine), StoreClock(machine)
        bus = MemoryBus(MemoryBroker(wanted_topology([])), "orchestrator")
        dispatches = Dispatches(bus, store, machine, settings.dispatched_after_seconds)
        desk = Desk(Starts(catalog, ids, settings), dispatches, clock, settings)
        cache = SagaCache(store, catalog, BATCH_SAGAS)
        self._handler = Handler(store, cache, desk, dispatches, clock)

    async def letters(self, prefix: str, numbers: Sequence[int]) -> None:
        """Letters that are drafted and wait for their approval."""
        jobs = [Job(job_id=f"{prefix}-{number}", contact=f"contact-{number}@example.com") for number in numbers]
        started = await self._handler.handle([_start("letter", job.job_id, job) for job in jobs])
        commands = [command for dispatch in started.dispatches for command, _ in dispatch.commands]
        assert len(commands) == len(jobs), f"{len(commands)} drafts of {len(jobs)} letters"
        await self._handler.handle([Work(_answered(command), command.saga) for command in commands])
        # The alarm of the first dispatch, ten seconds later: nothing is due, and it is set to the approval's end.
        await self._handler.handle([Work(None, command.saga) for command in commands])

    async def alarms(self, prefix: str, numbers: Sequence[int], due_at: datetime) -> None:
        """Alarms that are due in the second after `due_at`."""
        works: list[Work] = []
        for number in numbers:
            alarm_id = f"{prefix}-{number}"
            when = due_at + DUE_SPREAD * (number % 1_000) / 1_000
            works.append(_start("alarm", alarm_id, Alarm(alarm_id=alarm_id, due_at=when)))
        await self._handler.handle(works)


async def fill(store: Store, prefix: str, count: int, due_at: datetime | None = None, told: Told | None = None) -> None:
    """So many letters, or alarms that are due then."""
    filler = Filler(store)
    for numbers in _batches(count):
        if due_at is None:
            await filler.letters(prefix, numbers)
        else:
            await filler.alarms(prefix, numbers, due_at)
        if told is not None:
            told(numbers[-1] + 1)


async def publish_waiting(store: Store) -> None:
    """The definitions of the sagas that wait."""
    await publish(store, letter)
    await publish(store, alarm)


def _batches(count: int) -> Iterator[range]:
    return (range(first, min(first + BATCH_SAGAS, count)) for first in range(0, count, BATCH_SAGAS))


def _start(name: str, key: str, given: msgspec.Struct) -> Work:
    body = msgspec.json.encode(given)
    return Work(StartMessage(name=name, version=None, start_key=f"k:{key}", input=body, message_id=key, reply_to=""))


def drafted(command: CommandMessage) -> Drafted:
    """What a writer answers: half a kilobyte."""
    line = f"This is about {command.business_key}, and we would be glad to hear from you. "
    return Drafted(subject=f"About {command.business_key}", body=line * LETTER_LINES)


def _answered(command: CommandMessage) -> ReplyMessage:
    return ReplyMessage(
        saga=command.saga,
        path=command.path,
        kind=command.kind,
        execution=command.execution,
        attempt=command.attempt,
        key=command.key,
        in_reply_to=command.message_id,
        service=command.service,
        outcome=Outcome.OK,
        effect=ReplyEffect.NONE,
        type="letters.Drafted.v1",
        body=msgspec.json.encode(drafted(command)),
        sender=command.service,
    )


async def _main(url: str, what: str, prefix: str, count: int, due_at: datetime | None) -> None:
    begun = told_at = time.monotonic()

    def told(done: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            print(f"{prefix}: {done} of {count} {what}, {done / (told_at - begun):.0f} a second", flush=True)

    store = await open_store(url)
    try:
        await fill(store, prefix, count, due_at, told)
    finally:
        await store.close()


if __name__ == "__main__":
    address, kind, keys, wanted = sys.argv[1:5]
    moment = datetime.fromisoformat(sys.argv[5]) if kind == "alarms" else None
    asyncio.run(_main(address, kind, keys, int(wanted), moment))
