"""`make bench-waiting` in small, on real servers and with real processes: everything it counts, none of its times."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from saga.adapters.postgres.connection import statement
from saga.ports import SagaFilter
from saga.stores import open_store
from tests.bench.stage import Stage
from tests.bench.waiting import stores
from tests.bench.waiting.approving import WARM_UP, approve_some, some_waiting
from tests.bench.waiting.contracts import LETTERS
from tests.bench.waiting.draining import Drill, measure_drain
from tests.bench.waiting.filling import fill
from tests.bench.waiting.place import ALL_SERVICES, DESK, Waiting, desk
from tests.bench.waiting.ringing import Judged

WAITING = 2_000
APPROVED = 5
TIMERS = 500


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Servers of its own: services and gateways are users of the broker."""
    with Stage(Path(tmp_path_factory.mktemp("stage")), ALL_SERVICES, [desk()]) as stage:
        yield stage


def told(text: str) -> None:
    """Progress, for the report of a failure."""
    print(text)


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
async def test_one_of_many_that_wait_goes_on_when_it_is_approved(stage: Stage, kind: str) -> None:
    """Its command comes, the others stay as they are, and the clock finds nothing to look at among them."""
    side = Waiting(stage, f"{kind}-some", WAITING, fillers=1)
    await stores.prepare(side.store)
    store = await open_store(side.store)
    try:
        await fill(store, "w1", WAITING)
        await asyncio.to_thread(side.prepare)
        filled, settled, followed = await asyncio.to_thread(stores.in_order, side.store)
        assert filled.total >= WAITING * 1_000
        assert settled.total >= WAITING * 1_000
        assert followed == 2 * WAITING
        assert await store.claim(1_000, 30) == []
        asked = await some_waiting(store, side.prefixes, range(WAITING), WARM_UP + APPROVED)
        running = await asyncio.to_thread(side.start)
        try:
            approved = await approve_some(asked, stage.amqp(DESK), stage.amqp(LETTERS))
        finally:
            await asyncio.to_thread(running.stop)
        assert approved.count == APPROVED
        letters = await store.sagas(SagaFilter(name="letter", limit=WAITING))
        assert {row.version == 2 for row in letters if row.wait_kind == "approval"} == {True}
        assert {row.saga for row in letters if row.version > 2} == {each.saga for each in asked}
    finally:
        await store.close()


async def test_the_clock_does_not_touch_those_that_wait(database: str) -> None:
    """The plan of a claim, carried out: not one row is looked at."""
    await stores.prepare(database)
    store = await open_store(database)
    await fill(store, "w1", WAITING)
    await store.close()
    connection = await asyncpg.connect(database)
    await connection.execute("analyze sagas")
    claim = statement("claim").rstrip(";\n ")
    [[text]] = await connection.fetch(
        f"explain (analyze, costs off, format json) {claim}".replace("$1", "500").replace("$2", "'30 s'")
    )
    await connection.close()
    [scan] = [line for line in text.splitlines() if "Index Name" in line][:1]
    assert "sagas_wake_at_id" in scan, text
    assert text.count('"Actual Rows": 0,') == text.count('"Actual Rows"'), text


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_timers_of_one_second_fire_once_and_not_early(stage: Stage, late: bool) -> None:
    """Every orchestrator is killed while they wait, and two are started before that second, or after it."""
    drill = Drill(timers=TIMERS, orchestrators=2, late=late, lead_seconds=12)
    drained = measure_drain(stage, "postgres", drill, told)
    judged = drained.judged
    assert judged == Judged(
        sagas=TIMERS,
        fired_once=TIMERS,
        early=0,
        keys=TIMERS,
        repeats=judged.repeats,
        completed=TIMERS,
        late_p50_ms=judged.late_p50_ms,
        late_max_ms=judged.late_max_ms,
    )
