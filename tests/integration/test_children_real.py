"""Sub-sagas over real servers: orchestrators are killed with -9 wherever it hurts, and every effect is there once."""

import asyncio
import itertools
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from saga.core.definition import Branch, Join, Parallel
from saga.ports import SagaRow
from tests.builders import INPUT_ID, plan
from tests.integration.orders_place import READ_QUEUES, SERVICES, SOON_SECONDS, Place, RunProcess, order, trusted
from tests.unit.engine.family import asking

DAYS = timedelta(days=9)
INNER = plan(trusted("reserve"), name="inner", key=INPUT_ID, deadline=DAYS)
OUTER = plan(asking("access"), trusted("charge"), name="outer", key=INPUT_ID, deadline=DAYS)
TWINS = plan(
    Parallel(
        path="both",
        join=Join.ALL,
        branches=(Branch(path="one", body=(asking("first"),)), Branch(path="two", body=(asking("second", "outer"),))),
    ),
    name="twins",
    key=INPUT_ID,
    deadline=DAYS,
)
"""Two children side by side, one of which has a child of its own."""


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store, a declared broker, and the definitions."""
    place = Place(database, vhost)
    await place.prepare()
    await place.publish(INNER, OUTER, TWINS)
    return place


async def rows(place: Place, name: str) -> list[SagaRow]:
    """Sagas of one definition."""
    return [row for row in await place.rows() if row.name == name]


async def until_all(place: Place, name: str, status: str, count: int = 1) -> list[SagaRow]:
    """Wait until so many sagas of a name have a status."""
    deadline = asyncio.get_running_loop().time() + 2 * SOON_SECONDS
    while len(found := [row for row in await rows(place, name) if row.status == status]) < count:
        assert asyncio.get_running_loop().time() < deadline, [
            (row.name, row.status, row.wait_text) for row in await place.rows()
        ]
        await asyncio.sleep(0.05)
    return found


async def test_kill_nine_all_the_time(place: Place, tmp_path: Path) -> None:
    """Between a parent's commit and its child's start, the start and the end, the end and the answer: sooner or later
    the kill falls everywhere. All complete, each child is one, and each key had one execution."""
    count = 12
    numbers = itertools.count()

    async def kill_again_and_again(stop: asyncio.Event) -> None:
        while not stop.is_set():
            process = RunProcess(place, tmp_path / f"run-{next(numbers)}")
            await process.ready()
            await asyncio.sleep(0.05 + 0.13 * (next(numbers) % 7))
            process.process.kill9()

    stop = asyncio.Event()
    async with place.serving() as seen, place.calling() as caller:
        killing = asyncio.create_task(kill_again_and_again(stop))
        try:
            starts = [caller.start("twins", order(number), within=timedelta(seconds=100)) for number in range(count)]
            await asyncio.gather(*starts)
            await asyncio.sleep(8)
        finally:
            stop.set()
            await killing
        last = RunProcess(place, tmp_path / "last")
        try:
            await last.ready()
            twins = await until_all(place, "twins", "completed", count)
            await place.emptied(*READ_QUEUES)
        finally:
            last.process.kill9()
    assert len(twins) == count
    below = Counter((row.root, row.name) for row in await place.rows() if row.parent is not None)
    assert below == {(row.saga, name): number for row in twins for name, number in (("inner", 2), ("outer", 1))}
    assert {row.status for row in await place.rows()} == {"completed"}
    assert len(set(seen)) == 3 * count, "two reservations and a charge each"
    assert await place.parked() == []


async def test_killed_while_the_child_runs_and_when_it_ends(place: Place, tmp_path: Path) -> None:
    """The answers wait in their queues, and whoever comes next goes on."""
    first = RunProcess(place, tmp_path / "first")
    await first.ready()
    async with place.calling() as caller:
        await caller.start("outer", order(1))
    (inner,) = await until_all(place, "inner", "running")
    first.process.kill9()
    async with place.serving() as seen:
        await place.emptied("saga.commands.reserve-service")
        second = RunProcess(place, tmp_path / "second")
        try:
            await second.ready()
            (outer,) = await until_all(place, "outer", "completed")
        finally:
            second.process.kill9()
    assert (inner.parent, inner.root) == (outer.saga, outer.saga)
    assert len(seen) == len(set(seen)) == 2


@pytest.mark.parametrize("when", ["running", "completed"])
async def test_a_child_is_undone_with_its_parent(place: Place, tmp_path: Path, when: str) -> None:
    """Cancelled while the child runs, or after its end; the orchestrator is killed in the middle of the undo."""
    process = RunProcess(place, tmp_path / "first")
    await process.ready()
    async with place.calling() as caller:
        started = await caller.start("outer", order(1))
        await until_all(place, "inner", "running")
        if when == "completed":
            async with place.serving("reserve-service"):
                await until_all(place, "inner", "completed")
        await caller.cancel(started.saga, "changed my mind")
    if when == "completed":  # the charge may have happened: it is undone first
        async with place.serving("charge-service"):
            await until_all(place, "inner", "compensating")
    else:
        await until_all(place, "inner", "compensating")
    process.process.kill9()
    again = RunProcess(place, tmp_path / "second")
    try:
        await again.ready()
        async with place.serving() as seen:
            await until_all(place, "outer", "compensated")
            await until_all(place, "inner", "compensated")
            await place.emptied(*READ_QUEUES)
    finally:
        again.process.kill9()
    assert len(seen) == len(set(seen))
    assert await place.parked() == []


async def test_a_running_child_is_awaited_and_then_undone(place: Place) -> None:
    """Its parent is cancelled while it runs: it goes on to its end, and is undone as one unit then."""
    await place.publish(plan(asking("access", running="wait"), name="patient", key=INPUT_ID, deadline=DAYS))
    async with place.orchestrating(), place.calling() as caller:
        started = await caller.start("patient", order(1))
        await until_all(place, "inner", "running")
        await caller.cancel(started.saga, "changed my mind")
        await until_all(place, "patient", "compensating")
        assert {row.status for row in await rows(place, "inner")} == {"running"}
        async with place.serving() as seen:
            await until_all(place, "patient", "compensated")
            (inner,) = await until_all(place, "inner", "compensated")
    assert len(seen) == 2, "reserved, and released"
    assert [kind for kind in await kinds(place, inner.saga) if kind.startswith(("Cancel", "Saga"))] == [
        "SagaStarted",
        "SagaCompensated",
    ]


async def test_a_detached_child_stays(place: Place) -> None:
    """Its parent is undone while it runs: it goes on by itself, and nothing of it is undone."""
    detached = msgspec.structs.replace(asking("access"), undo=None, no_undo="goes on by itself")
    branches = (Branch(path="one", body=(detached,)), Branch(path="two", body=(trusted("charge"),)))
    await place.publish(plan(Parallel(path="both", branches=branches), name="loose", key=INPUT_ID, deadline=DAYS))
    async with place.orchestrating(), place.calling() as caller:
        started = await caller.start("loose", order(1))
        await until_all(place, "inner", "running")
        await caller.cancel(started.saga, "changed my mind")
        async with place.serving("charge-service"):
            await until_all(place, "loose", "compensated")
        assert {row.status for row in await rows(place, "inner")} == {"running"}
        async with place.serving("reserve-service") as seen:
            await until_all(place, "inner", "completed")
    assert len(seen) == 1
    assert await place.parked() == []


async def kinds(place: Place, saga: str) -> list[str]:
    """Names of events."""
    async with place.store() as store:
        return [event["event"] for each in await store.history(saga) for event in msgspec.json.decode(each.data)]


async def test_a_child_that_never_began_is_undone_by_a_tombstone(place: Place) -> None:
    """Its definition is not there yet, the parent is cancelled, then it is published: it never runs."""
    late = plan(asking("access", "latecomer"), name="waits", key=INPUT_ID, deadline=DAYS)
    await place.publish(late)
    async with place.orchestrating(), place.calling() as caller, place.serving(*SERVICES) as seen:
        started = await caller.start("waits", order(1))
        deadline = asyncio.get_running_loop().time() + SOON_SECONDS
        while "unknown-command" not in (await rows(place, "waits"))[0].wait_text:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        await caller.cancel(started.saga, "changed my mind")
        await place.publish(plan(trusted("reserve"), name="latecomer"))
        (child,) = await until_all(place, "latecomer", "abandoned")
        await until_all(place, "waits", "compensated")
    assert child.parent == started.saga
    assert seen == []
