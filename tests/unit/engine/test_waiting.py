"""Sagas that wait in great numbers: nobody reads them, and when their time has come each goes on once."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga.client.reading import READ_AT_ONCE, Approvals
from saga.core import events
from saga.core.definition import decode
from saga.core.plan import Plan, plan_of
from saga.core.topology import wanted_topology
from saga.define import Definition
from saga.engine.settings import EngineSettings
from saga.ports import SagaRow, Tail
from tests.bench.waiting.contracts import BELLS, LETTERS, Job
from tests.bench.waiting.definitions import alarm, letter
from tests.bench.waiting.filling import Filler, drafted
from tests.unit.engine.living import running, send_starts, serve, until
from tests.unit.engine.rig import SERVICES, TWO_STEPS, CountingIds, Rig

MANY = 300


def plan_from(definition: Definition[Any, Any]) -> Plan:
    """As the engine reads it."""
    return plan_of(decode(definition.canonical), definition.hash)


@pytest.fixture
def rig() -> Rig:
    """Letters, alarms and ordinary orders."""
    made = Rig(plan_from(letter), plan_from(alarm), TWO_STEPS)
    made.broker.apply(wanted_topology([*SERVICES, LETTERS, BELLS]))
    return made


async def filler(rig: Rig) -> Filler:
    """With the store's time, and ids of its own."""
    await rig.process()
    return Filler(rig.store, rig.clock, CountingIds(1_000_000))


async def shape(rig: Rig, row: SagaRow) -> tuple[object, ...]:
    """Everything but ids and times."""
    commits = await rig.store.history(row.saga)
    recorded = [type(event).__name__ for commit in commits for event in events.decode(commit.data)]
    causes = [commit.cause.split()[0] for commit in commits]
    shown = (row.version, row.status, row.wait_kind, row.wait_text, row.dispatched_version)
    asked = events.decode(commits[-1].data)[-1]
    assert isinstance(asked, events.ApprovalRequested)
    return (*shown, recorded, causes, row.wake_at == asked.expires_at)


async def test_a_letter_that_was_filled_in_is_like_one_that_came_over_the_broker(rig: Rig) -> None:
    """Row, history and alarm: what the benchmark measures is what the engine makes."""
    await (await filler(rig)).letters("w", range(1))
    [filled] = await rig.rows()
    process = await rig.process()
    job = msgspec.json.encode(Job(job_id="j", contact="c"))
    await process.hop(await rig.start(name="letter", start_key="k:j", input=job))
    command = await rig.command(LETTERS)
    body = msgspec.json.encode(drafted(command))
    await process.hop(await rig.reply(command, type="letters.Drafted.v1", body=body))
    rig.clock.seconds += 11
    await process.tick()
    [came] = [row for row in await rig.rows() if row.saga != filled.saga]
    assert await shape(rig, came) == await shape(rig, filled)


async def test_nobody_reads_sagas_that_wait_for_a_person(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the start of a process, not while others run, not with the clock."""
    await (await filler(rig)).letters("w", range(MANY))
    waiting = {row.saga for row in await rig.rows()}
    read, load = set[str](), rig.store.load

    async def reading(since: Mapping[str, int]) -> dict[str, Tail]:
        read.update(since)
        return await load(since)

    monkeypatch.setattr(rig.store, "load", reading)
    before = rig.store.calls["claim"]
    async with running(rig):
        await send_starts(rig, *[f"o{number}" for number in range(10)])
        await asyncio.gather(*(serve(rig, service, 10) for service in ("reserve-service", "charge-service")))
        rig.clock.seconds += 3_600
        looked = rig.store.calls["claim"]
        await until(lambda: rig.store.calls["claim"] > looked + 3)
    assert looked > before
    assert len(read) == 10
    assert read.isdisjoint(waiting)


async def test_what_waits_for_a_decision_is_read_many_at_a_time(rig: Rig) -> None:
    """A list of them is not a read for each."""
    await (await filler(rig)).letters("w", range(MANY))
    before = rig.store.calls["load"]
    found = await Approvals(rig.store).waiting(limit=MANY)
    assert len({each.saga for each in found}) == MANY
    assert rig.store.calls["load"] == before + MANY // READ_AT_ONCE


async def test_alarms_of_one_second_ring_once_each_and_none_early(rig: Rig) -> None:
    """Claimed in parts by two processes; memory holds no more of them than it may."""
    rig.settings = EngineSettings(wake_claim_max=40, cache_sagas_max=20)
    due_at = rig.clock.now() + timedelta(hours=1)
    await (await filler(rig)).alarms("a", range(MANY), due_at)
    one, two = await rig.process(), await rig.process()
    rig.clock.seconds += 3_599
    await asyncio.gather(one.tick(), two.tick())
    assert rig.broker.ready_count(f"saga.commands.{BELLS}") == 0
    rig.clock.seconds += 2
    for _ in range(MANY // 40):
        await asyncio.gather(one.tick(), two.tick())
    rung = await rig.commands(BELLS)
    assert len({command.key for command in rung}) == len(rung) == MANY
    assert {row.version for row in await rig.rows()} == {2}
    assert {len(process.cache) <= 20 for process in (one, two)} == {True}
