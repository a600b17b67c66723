"""Facts of the store as metrics: read by one process at a time, shown by nobody else, and never in anybody's way."""

import asyncio

import pytest

from saga.core.metrics import catalogue as m
from saga.core.metrics.tally import Tallies
from saga.engine.settings import FollowSettings
from saga.engine.worker import Census, Following
from saga.engine.worker.census import IDLE_TIMES, LEASE_SECONDS, READ_EVERY_SECONDS_MIN
from saga.ports import Batch, Standing, Unavailable
from tests.conformance.store.places import parked, started, view
from tests.metrics import counted
from tests.unit.engine.rig import FlakyStore, ManualClock
from tests.unit.engine.test_follow import Scene, Shelf

SECRET = "hunter2"
FACTS = (m.OPEN, m.WAIT_OLDEST, m.UNSETTLED, m.UNSETTLED_OLDEST, m.FACTS_AGE, m.FACTS_DURATION)


class SlowStore(FlakyStore):
    """Counting takes as long as told, or fails."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.takes_seconds = 0.0

    async def standing(self) -> Standing:
        """As the port says, or as told."""
        self._called("standing")
        self.clock.seconds += self.takes_seconds
        return await super().standing()


class Counter:
    """One process that reads the facts."""

    def __init__(self, store: SlowStore, owner: str) -> None:
        self.tallies = Tallies()
        self.census = Census(store, store.feed(), store.clock, owner=owner)
        self.census.show(self.tallies)

    def shows(self) -> bool:
        return any(counted(self.tallies, metric) for metric in FACTS)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore(ManualClock())


async def test_what_stands_is_shown_and_grows_older(store: SlowStore) -> None:
    """Open sagas, the oldest waits, and messages nobody settled; between two readings only ages move."""
    await started(store, 2, view=view("running", "approval"))
    await store.commit(Batch(parked=[parked(origin="saga.start", reason="not-json")]))
    store.clock.seconds += 100
    await started(store, 1, view=view("parked", "parked"), name="refund")
    process = Counter(store, "one")
    assert await process.census.step() == READ_EVERY_SECONDS_MIN
    found = process.tallies
    open_sagas = {("order", "running", "approval"): 2, ("refund", "parked", "parked"): 1}
    assert counted(found, m.OPEN) == open_sagas
    assert counted(found, m.WAIT_OLDEST) == {("approval",): 100, ("parked",): 0}
    assert counted(found, m.UNSETTLED) == {("saga.start", "not-json"): 1}
    await started(store, 5, view=view("running", "approval"))
    store.clock.seconds += 7
    assert counted(found, m.OPEN) == open_sagas
    assert counted(found, m.WAIT_OLDEST) == {("approval",): 107, ("parked",): 7}
    assert counted(found, m.UNSETTLED_OLDEST) == {("saga.start", "not-json"): 107}
    assert counted(found, m.FACTS_AGE) == {(): 7}


async def test_words_in_parked_messages_are_not_believed(store: SlowStore) -> None:
    """Origin and reason of a message from a participant are its own."""
    for reason in (SECRET, "not-json", "nul"):
        await store.commit(Batch(parked=[parked(origin=f"saga.commands.{SECRET}", reason=reason, message_id=reason)]))
    process = Counter(store, "one")
    await process.census.step()
    found = counted(process.tallies, m.UNSETTLED)
    assert found == {("saga.commands", "other"): 1, ("saga.commands", "not-json"): 1, ("saga.commands", "nul"): 1}
    assert SECRET not in str(process.tallies.read())


async def test_one_process_reads_and_another_takes_over(store: SlowStore) -> None:
    """The second looks and leaves it; when the first has been gone for long enough, it reads."""
    one, two = Counter(store, "one"), Counter(store, "two")
    await one.census.step()
    await two.census.step()
    assert (one.shows(), two.shows(), store.calls["standing"]) == (True, False, 1)
    store.clock.seconds += READ_EVERY_SECONDS_MIN + LEASE_SECONDS + 1
    await two.census.step()
    assert (one.shows(), two.shows()) == (False, True)
    await one.census.step()
    assert one.shows() is False


async def test_a_large_store_is_read_less_often(store: SlowStore) -> None:
    """Reading takes a bounded share of the time."""
    store.takes_seconds = 2.0
    process = Counter(store, "one")
    assert await process.census.step() == 2.0 * IDLE_TIMES
    assert counted(process.tallies, m.FACTS_DURATION) == {(): 2}


async def test_an_outage_is_waited_out_and_a_stop_gives_the_cursor_up(store: SlowStore) -> None:
    """What was read last is shown until its time is over; whoever comes next need not wait for a lease."""
    await started(store, 1)
    process, other = Counter(store, "one"), Counter(store, "two")
    await process.census.step()
    store.fail("standing", Unavailable("statement timeout"))
    with pytest.raises(Unavailable):
        await process.census.step()
    assert process.shows()
    stopping = asyncio.Event()
    running = asyncio.create_task(process.census.run(stopping))
    async with asyncio.timeout(10):
        while store.calls["standing"] < 3:
            await asyncio.sleep(0)
    stopping.set()
    await running
    assert process.shows() is False
    await other.census.step()
    assert other.shows()


async def test_a_follower_says_how_far_it_is_behind() -> None:
    """The age of what it could not hand on; nothing of one that stands by."""
    scene, shelf = Scene(), Shelf()
    tallies, standby_tallies = Tallies(), Tallies()
    settings = FollowSettings(batch_max=3, interval_seconds=0.001, standby_seconds=0.001)
    loops = Following([scene.follower(shelf)], settings)
    standby = Following([scene.follower(Shelf(), "two")], settings)
    loops.show(tallies, scene.clock)
    standby.show(standby_tallies, scene.clock)
    assert counted(tallies, m.FOLLOWER_LAG) == {}
    shelf.fails = [Unavailable("the backend is away")] * 3
    await scene.write(4)
    scene.clock.seconds += 30
    works = [asyncio.create_task(loops.run())]
    async with asyncio.timeout(10):
        while not shelf.seen:
            await asyncio.sleep(0)
        assert counted(tallies, m.FOLLOWER_LAG) == {("shelf",): 30}
        while counted(tallies, m.FOLLOWER_LAG) != {("shelf",): 0}:
            await asyncio.sleep(0)
        works.append(asyncio.create_task(standby.run()))  # not before: whoever fails leaves its cursor to others
        while standby.report()["shelf"]["state"] != "elsewhere":
            await asyncio.sleep(0)
    assert counted(standby_tallies, m.FOLLOWER_LAG) == {}
    loops.stop()
    standby.stop()
    await asyncio.gather(*works)
