"""Timers that are due in the same second: who rang, how often, and whether anything was early."""

import asyncio
import contextlib
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

import msgspec

from saga.adapters.rabbitmq import RabbitBus
from saga.core import events as e
from saga.core.messages import CommandMessage, Outcome, ReplyEffect, ReplyMessage
from saga.core.topology import command_queue
from saga.ports import BEGINNING, Feed, HistoryRow, Outgoing
from saga.wire import command_from_wire, reply_to_wire
from tests.bench.figures import percentile_ms
from tests.bench.waiting.contracts import BELLS, RingBell

PREFETCH = 1_000
PAGE_COMMITS = 5_000


class Heard(msgspec.Struct, frozen=True):
    """A command as it came."""

    key: str
    saga: str
    at: datetime
    """By this machine's clock."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands and the histories say."""

    sagas: int
    fired_once: int
    """Sagas whose history has exactly one end of the timer."""
    early: int
    """Ends of a timer before its time, by the store's clock."""
    keys: int
    """Different commands that the service saw."""
    repeats: int
    """Commands that came more than once, under the same key: safe, and wasted."""
    completed: int
    late_p50_ms: float
    late_max_ms: float
    """From the time it was due to the commit that says so, both by the store's clock."""


class Bell:
    """The service: answers every command, and keeps what it saw."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    @contextlib.asynccontextmanager
    async def ringing(self, url: str) -> AsyncIterator["Bell"]:
        """Consume as long as this lasts."""
        bus = await RabbitBus.open(url, name="bench bell")
        work = asyncio.create_task(self._ring(bus))
        try:
            yield self
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await bus.close()

    async def rung(self, count: int, seconds: float) -> None:
        """Wait until so many different commands came. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len({each.key for each in self.heard}) < count:
                await asyncio.sleep(0.05)

    async def _ring(self, bus: RabbitBus) -> None:
        subscription = await bus.consume(command_queue(BELLS), PREFETCH)
        while True:
            deliveries = await subscription.receive()
            now = datetime.now(UTC)
            commands = [command_from_wire(each) for each in deliveries]
            self.heard += [Heard(command.key, command.saga, now) for command in commands]
            sent = await bus.publish([_rung(command) for command in commands])
            assert all(each.outcome == "confirmed" for each in sent), sent
            await subscription.settle(deliveries)


def _rung(command: CommandMessage) -> Outgoing:
    assert command.command == RingBell.__name__, command
    return reply_to_wire(
        ReplyMessage(
            saga=command.saga,
            path=command.path,
            kind=command.kind,
            execution=command.execution,
            attempt=command.attempt,
            key=command.key,
            in_reply_to=command.message_id,
            service=command.service,
            outcome=Outcome.OK,
            effect=ReplyEffect.APPLIED,
            type="bells.Rung.v1",
            body=b"{}",
            sender=command.service,
        )
    )


async def commits_of(feed: Feed) -> AsyncIterator[HistoryRow]:
    """Everything that was recorded, with the store's time of each commit."""
    page = await feed.read_after(BEGINNING, PAGE_COMMITS)
    while True:
        for row in page.rows:
            yield row
        if not page.more:
            return
        page = await feed.read_after(page.position, PAGE_COMMITS)


class Records:
    """What the histories of alarms say of their timers."""

    def __init__(self) -> None:
        self.due: dict[str, datetime] = {}
        self.fired: dict[str, list[datetime]] = {}
        self.completed: dict[str, datetime] = {}

    def take(self, row: HistoryRow) -> None:
        """One commit, in order."""
        for event in e.decode(row.data):
            match event:
                case e.WaitStarted(until=datetime() as until):
                    self.due[row.saga] = until
                case e.WaitEnded():
                    self.fired.setdefault(row.saga, []).append(row.at)
                case e.SagaCompleted():
                    self.completed[row.saga] = row.at
                case _:
                    pass


async def recorded(feed: Feed) -> Records:
    """Read all."""
    records = Records()
    async for row in commits_of(feed):
        records.take(row)
    return records


def judge(records: Records, heard: Iterable[Heard]) -> Judged:
    """Count. A command that came before its time would be early too, whatever the history says."""
    keys = Counter(each.key for each in heard)
    late = [(moments[0] - records.due[saga]).total_seconds() for saga, moments in records.fired.items()]
    return Judged(
        sagas=len(records.due),
        fired_once=sum(len(moments) == 1 for moments in records.fired.values()),
        early=sum(moment < records.due[saga] for saga, moments in records.fired.items() for moment in moments),
        keys=len(keys),
        repeats=keys.total() - len(keys),
        completed=len(records.completed),
        late_p50_ms=percentile_ms(late, 50),
        late_max_ms=round(max(late) * 1_000, 1),
    )


def median(values: Iterable[float]) -> float:
    """Of figures, rounded as they are printed."""
    return round(statistics.median(values), 1)
