"""The loops that follow: whatever a sink does, they go on, keep apart, and leave in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from saga.engine.follow import Follower
from saga.engine.settings import FollowSettings
from saga.engine.worker import Following
from saga.ports import Unavailable
from tests.unit.engine.test_follow import Scene, Shelf

SETTINGS = FollowSettings(batch_max=3, interval_seconds=0.001, standby_seconds=0.001)


@asynccontextmanager
async def following(*followers: Follower) -> AsyncIterator[Following]:
    """The loops of one process; stopped at the end."""
    loops = Following(followers, SETTINGS)
    work = asyncio.create_task(loops.run())
    try:
        yield loops
    finally:
        loops.stop()
        async with asyncio.timeout(10):
            await work


async def until_seen(shelf: Shelf, count: int) -> None:
    """Let the loops run until a sink has been given so many commits."""
    async with asyncio.timeout(10):
        while len(shelf.seen) < count:
            await asyncio.sleep(0)


async def test_a_broken_sink_is_tried_again_and_holds_up_no_other() -> None:
    """One sink fails three times, with errors of any kind; both get everything, and the trouble shows as long."""
    scene, broken, working = Scene(), Shelf(), Shelf()
    await scene.write(4)
    broken.fails = [Unavailable("down"), RuntimeError("a defect"), Unavailable("down")]
    async with following(scene.follower(broken, name="broken"), scene.follower(working, name="working")) as loops:
        await until_seen(broken, 1)
        await asyncio.sleep(0)
        assert "trouble" in loops.report()["broken"]
        await until_seen(working, 4)
        await until_seen(broken, 13)
        while "trouble" in loops.report()["broken"]:
            await asyncio.sleep(0)
    assert working.seen == broken.seen[9:] == scene.written
    assert loops.report()["working"]["delivered-until"] == scene.clock.now().isoformat()


async def test_another_process_goes_on_where_one_was_stopped() -> None:
    """A stop gives the cursors up: nothing twice, nothing left out."""
    scene, one, two = Scene(), Shelf(), Shelf()
    async with following(scene.follower(one)):
        await scene.write(4)
        await until_seen(one, 4)
    async with following(scene.follower(two, "two")) as loops:
        await scene.write(2)
        await until_seen(two, 2)
        assert loops.report()["shelf"]["state"] in {"more", "idle", "starting"}
    assert one.seen + two.seen == scene.written


async def test_of_two_processes_one_stands_by() -> None:
    """And takes over when the first one leaves."""
    scene, one, two = Scene(), Shelf(), Shelf()
    async with following(scene.follower(one)):
        await scene.write()
        await until_seen(one, 1)
        async with following(scene.follower(two, "two")) as second:
            while second.report()["shelf"]["state"] != "elsewhere":
                await asyncio.sleep(0)
            await scene.write()
            await until_seen(one, 2)
            assert two.seen == []


async def test_who_cannot_deliver_leaves_it_to_who_can() -> None:
    """A process whose sink is out of reach gives the cursor up: no lease has to end first."""
    scene, broken, working = Scene(), Shelf(), Shelf()
    broken.fails = [Unavailable("refused: wrong password")] * 1_000
    async with following(scene.follower(broken)) as first:
        await scene.write(4)
        await until_seen(broken, 1)
        async with following(scene.follower(working, "two")):
            await until_seen(working, 4)
            while first.report()["shelf"]["state"] != "elsewhere":
                await asyncio.sleep(0)
    assert working.seen == scene.written
    assert "trouble" not in first.report()["shelf"]
