"""Ten thousand timers of one second, and every orchestrator killed before it."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from saga.ports import Batch
from saga.stores import open_feed, open_store
from tests.bench.stage import Stage
from tests.bench.waiting import stores
from tests.bench.waiting.contracts import BELLS
from tests.bench.waiting.filling import DUE_SPREAD, fill
from tests.bench.waiting.memory import Memory, memory_of
from tests.bench.waiting.place import Told, orchestrators, store_url
from tests.bench.waiting.ringing import Bell, Judged, Records, judge, recorded
from tests.servers.process import ServerProcess

FILL_ALARMS_PER_SECOND = 500
"""At the least: alarms must be in the store well before they are due."""
RING_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.5
AFTERWARDS_SECONDS = 3.0

_number = itertools.count(1)


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What is done: every orchestrator is killed, and as many are started again before or after the moment."""

    timers: int
    orchestrators: int
    late: bool
    lead_seconds: float = 15.0
    """From the fill to the second in which all are due, beside the time that it takes to fill."""

    @property
    def how(self) -> str:
        """When they are started."""
        return f"{'after' if self.late else 'before'} they are due"


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """Timers of one second."""

    drill: Drill
    first_seconds: float
    drain_seconds: float
    """Until the first command came and until the last one did: since all orchestrators were started again and the
    second had begun."""
    judged: Judged
    memory_before: list[Memory]
    memory_after: list[Memory]


def measure_drain(stage: Stage, kind: str, drill: Drill, told: Told) -> Drained:
    """Kill the orchestrators, and start them again before the second begins, or after it has ended."""
    url = store_url(stage, f"{kind}-alarms-{next(_number)}")
    asyncio.run(stores.prepare(url))
    return asyncio.run(_drain(stage, url, drill, told))


async def _drain(stage: Stage, url: str, drill: Drill, told: Told) -> Drained:
    timers, count = drill.timers, drill.orchestrators
    running = await asyncio.to_thread(orchestrators, stage, url, count)
    try:
        due_at = await _fill(url, drill)
        told(f"{timers} alarms for {due_at:%H:%M:%S}, orchestrators killed, started {drill.how}")
        for each in running:
            await asyncio.to_thread(each.kill9)
        if drill.late:
            await asyncio.sleep((due_at + DUE_SPREAD - _now(due_at)).total_seconds())
        async with Bell().ringing(stage.amqp(BELLS)) as bell:
            begun = max(due_at, _now(due_at))
            running = await asyncio.to_thread(orchestrators, stage, url, count)
            before = [memory_of(each.pid) for each in running]
            await bell.rung(timers, RING_SECONDS_MAX)
            records = await _completed(url, timers)
            await asyncio.sleep(AFTERWARDS_SECONDS)
        moments = [each.at for each in bell.heard]
        return Drained(
            drill=drill,
            first_seconds=round((min(moments) - begun).total_seconds(), 2),
            drain_seconds=round((max(moments) - begun).total_seconds(), 2),
            judged=judge(records, bell.heard),
            memory_before=before,
            memory_after=[memory_of(each.pid) for each in running],
        )
    finally:
        await _end(running)


async def _end(running: Sequence[ServerProcess]) -> None:
    for each in running:
        await asyncio.to_thread(each.terminate)


async def _fill(url: str, drill: Drill) -> datetime:
    """When they are due."""
    store = await open_store(url)
    try:
        ahead = timedelta(seconds=drill.lead_seconds + drill.timers / FILL_ALARMS_PER_SECOND)
        due_at = ((await store.commit(Batch())).now + ahead).replace(microsecond=0)
        await fill(store, "t", drill.timers, due_at)
        left = due_at - (await store.commit(Batch())).now
    finally:
        await store.close()
    assert left > timedelta(seconds=drill.lead_seconds / 2), f"filling took so long that only {left} are left"
    return due_at


async def _completed(url: str, timers: int) -> Records:
    feed = await open_feed(url)
    try:
        async with asyncio.timeout(RING_SECONDS_MAX):
            while len((records := await recorded(feed)).completed) < timers:
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await feed.close()
    return records


def _now(like: datetime) -> datetime:
    return datetime.now(like.tzinfo)
