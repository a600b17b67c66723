"""Following the history: every commit reaches the sink, one process moves its cursor, no failure loses any."""

from collections.abc import Sequence

import pytest

from saga.core import events
from saga.engine.follow import Follower, Progress, Recorded, UnreadableCommitError
from saga.engine.settings import FollowSettings
from saga.ports import Batch, Page, Unavailable
from tests.builders import Case, step
from tests.builders import plan as plan_with
from tests.conformance.store.places import advance, new_saga
from tests.unit.engine.rig import FlakyStore, ManualClock

SETTINGS = FollowSettings(batch_max=3)
COMMIT = events.encode(Case(plan_with(step("reserve"))).commits[0])

Key = tuple[str, int]


class Shelf:
    """A sink that keeps what it is given, and fails when told to."""

    def __init__(self) -> None:
        self.batches: list[list[Key]] = []
        self.fails: list[Exception] = []

    async def deliver(self, commits: Sequence[Recorded]) -> None:
        """See `saga.engine.follow.Sink`."""
        self.batches.append([(commit.saga, commit.version) for commit in commits])
        if self.fails:
            raise self.fails.pop(0)

    @property
    def seen(self) -> list[Key]:
        """Every commit, as often as it came."""
        return [key for batch in self.batches for key in batch]


class Scene:
    """A history, a clock, and processes that follow it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = FlakyStore(self.clock)
        self.feed = self.store.feed()
        self.written: list[Key] = []

    def follower(self, shelf: Shelf, owner: str = "one", name: str = "shelf") -> Follower:
        """One process."""
        return Follower(name, shelf, self.feed, self.clock, SETTINGS, owner=owner)

    async def write(self, count: int = 1, data: bytes = COMMIT) -> None:
        """New sagas."""
        starts = [new_saga(data=data) for _ in range(count)]
        await self.store.commit(Batch(starts=starts))
        self.written += [(start.saga, 1) for start in starts]


@pytest.fixture
def scene() -> Scene:
    """An empty history."""
    return Scene()


async def all_of(follower: Follower) -> Progress:
    """Steps until there is nothing more to do."""
    while (progress := await follower.step()) is Progress.MORE:
        pass
    return progress


async def test_everything_is_delivered_in_batches(scene: Scene) -> None:
    """No batch is larger than allowed, and what comes later comes with the next step."""
    shelf = Shelf()
    follower = scene.follower(shelf)
    await scene.write(7)
    assert await all_of(follower) is Progress.IDLE
    await scene.write()
    assert await all_of(follower) is Progress.IDLE
    assert [len(batch) for batch in shelf.batches] == [3, 3, 1, 1]
    assert shelf.seen == scene.written


async def test_nothing_new_costs_no_delivery(scene: Scene) -> None:
    """A sink hears nothing while nothing happens."""
    shelf = Shelf()
    follower = scene.follower(shelf)
    assert [await follower.step() for _ in range(3)] == [Progress.IDLE] * 3
    assert shelf.batches == []


async def test_what_the_sink_refused_comes_again(scene: Scene) -> None:
    """It is down for two tries; then it gets everything, in order, from where it was."""
    shelf = Shelf()
    follower = scene.follower(shelf)
    await scene.write(4)
    await follower.step()
    shelf.fails = [Unavailable("down"), OSError("down")]
    for _ in range(2):
        with pytest.raises((Unavailable, OSError)):
            await follower.step()
    await scene.write(2)
    await all_of(follower)
    assert shelf.batches[1:3] == [scene.written[3:4]] * 2
    assert shelf.batches[0] + [key for batch in shelf.batches[3:] for key in batch] == scene.written


async def test_one_process_follows_and_another_takes_over(scene: Scene) -> None:
    """The second waits as long as the lease of the first runs; after a crash it goes on where the first had saved."""
    one, two = Shelf(), Shelf()
    first, second = scene.follower(one), scene.follower(two, "two")
    await scene.write(4)
    await first.step()
    assert await second.step() is Progress.ELSEWHERE
    scene.clock.seconds += SETTINGS.lease_seconds + 1
    await all_of(second)
    assert (one.seen, two.seen) == (scene.written[:3], scene.written[3:])
    assert await first.step() is Progress.ELSEWHERE


async def test_who_gives_the_cursor_up_is_followed_at_once(scene: Scene) -> None:
    """A process that stops does not make the next one wait for its lease."""
    one, two = Shelf(), Shelf()
    first, second = scene.follower(one), scene.follower(two, "two")
    await scene.write(4)
    await first.step()
    await first.release()
    await all_of(second)
    assert one.seen + two.seen == scene.written
    await first.release()
    assert await first.step() is Progress.ELSEWHERE


async def test_who_failed_gives_up_as_far_as_the_store_knows(scene: Scene) -> None:
    """The next one goes on where the last save was, at once; where the store is away too, giving up is tried once."""
    one, two = Shelf(), Shelf()
    first, second = scene.follower(one), scene.follower(two, "two")
    await scene.write(4)
    await first.step()
    one.fails = [Unavailable("down")] * 2
    with pytest.raises(Unavailable):
        await first.step()
    await first.release()
    await second.step()
    assert two.seen == scene.written[3:]
    await second.release()
    await scene.write(1)
    with pytest.raises(Unavailable):
        await first.step()
    asked: list[str] = []

    async def away(name: str, owner: str, lease_seconds: float) -> str | None:
        asked.append(name)
        raise Unavailable("the store is away")

    scene.feed.take_cursor = away  # type: ignore[method-assign]  # from here on
    with pytest.raises(Unavailable):
        await first.release()
    await first.release()
    assert asked == ["shelf"]


async def test_a_process_that_slept_through_its_lease_moves_nothing(scene: Scene) -> None:
    """What it delivers meanwhile was delivered by the other too; the cursor is the other's."""
    one, two = Shelf(), Shelf()
    first, second = scene.follower(one), scene.follower(two, "two")
    await scene.write(4)
    read = scene.feed.read_after

    async def slow(position: str, limit: int) -> Page:
        page = await read(position, limit)
        scene.feed.read_after = read  # type: ignore[method-assign]  # once
        scene.clock.seconds += SETTINGS.lease_seconds + 1
        await all_of(second)
        return page

    scene.feed.read_after = slow  # type: ignore[method-assign]  # the first process is stopped in the middle
    assert await first.step() is Progress.ELSEWHERE
    assert one.seen == scene.written[:3]
    assert two.seen == scene.written
    assert await second.step() is Progress.IDLE


async def test_a_lease_is_kept_while_nothing_happens(scene: Scene) -> None:
    """An idle owner renews it long before it ends."""
    first, second = scene.follower(Shelf()), scene.follower(Shelf(), "two")
    for _ in range(20):
        assert await first.step() is Progress.IDLE
        scene.clock.seconds += SETTINGS.lease_seconds / 4
        assert await second.step() is Progress.ELSEWHERE


async def test_sinks_do_not_hold_each_other_up(scene: Scene) -> None:
    """Each has its own cursor: one that is down keeps nothing from the other."""
    down, up = Shelf(), Shelf()
    await scene.write(4)
    broken, working = scene.follower(down, name="down"), scene.follower(up, name="up")
    down.fails = [Unavailable("down")] * 3
    for _ in range(3):
        with pytest.raises(Unavailable):
            await broken.step()
    await all_of(working)
    assert up.seen == scene.written
    await all_of(broken)
    assert down.seen[9:] == scene.written


async def test_an_unreadable_commit_is_left_to_a_later_release(scene: Scene) -> None:
    """The cursor is given up, so that a process which can read it takes over; nothing after it is delivered before."""
    shelf = Shelf()
    follower = scene.follower(shelf)
    await scene.write(1, b'[{"event":"OfAnotherRelease"}]')
    await scene.write(1)
    with pytest.raises(UnreadableCommitError, match=scene.written[0][0]):
        await follower.step()
    assert shelf.batches == []
    assert await scene.feed.take_cursor("shelf", "later release", 1) is not None


async def test_an_unreadable_commit_does_not_stop_the_rest_for_ever(scene: Scene) -> None:
    """After a while it is passed over, and said so; the next one is waited for anew."""
    shelf = Shelf()
    follower = scene.follower(shelf)
    await scene.write(1, b"\xff")
    await scene.write(1)
    with pytest.raises(UnreadableCommitError):
        await follower.step()
    scene.clock.seconds += SETTINGS.unreadable_seconds
    await all_of(follower)
    assert shelf.seen == scene.written[1:]
    await scene.write(1)
    await all_of(follower)
    await scene.write(1, b"\xff")
    with pytest.raises(UnreadableCommitError):
        await follower.step()


async def test_a_commit_arrives_as_it_was_recorded(scene: Scene) -> None:
    """Saga, version, store time and events."""
    received: list[Recorded] = []

    class Keeping(Shelf):
        async def deliver(self, commits: Sequence[Recorded]) -> None:
            received.extend(commits)

    await scene.write()
    [(saga, _)] = scene.written
    await scene.store.commit(Batch(advances=[advance(saga, 1, COMMIT)]))
    follower = scene.follower(Keeping())
    await all_of(follower)
    history = await scene.store.history(saga)
    assert [(each.saga, each.version, each.at) for each in received] == [(saga, row.version, row.at) for row in history]
    assert received[0].events == events.decode(COMMIT)
    assert follower.delivered_at == history[-1].at
