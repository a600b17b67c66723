"""`dying`: a coroutine is cut at a chosen await, after what it waited for has happened."""

import asyncio
import contextlib

import pytest

from saga.testing.crash import Died, dying


class Work:
    """Three awaits, each of which does something."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.let_go = False

    async def run(self) -> str:
        """Returns when all is done."""
        try:
            for name in ("first", "second", "third"):
                await self._step(name)
        finally:
            await asyncio.sleep(0)
            self.let_go = True
        return "all"

    async def _step(self, name: str) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.done.append, name)


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_what_was_waited_for_has_happened(at: int) -> None:
    """The rest has not; what was held is let go, as a lost connection would be."""
    work = Work()
    with pytest.raises(Died, match=r"in Work\._step, test_crash.py:\d+"):
        await dying(work.run(), at)
    assert work.done == ["first", "second", "third"][:at]
    assert work.let_go


async def test_the_cut_is_meant_for_the_work() -> None:
    """As for whoever is really killed: it can tell its own end from a library's cancelled waiter."""
    asked: list[int] = []
    task = asyncio.current_task()
    assert task is not None

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            asked.append(task.cancelling())
            await asyncio.sleep(0)
            asked.append(task.cancelling())

    with pytest.raises(Died):
        await dying(work(), 1)
    assert (asked, task.cancelling()) == ([1, 1], 0)


async def test_work_that_ends_before_gives_its_result() -> None:
    """Nothing is cut."""
    work = Work()
    assert await dying(work.run(), 9) == "all"
    assert work.let_go


async def test_an_error_of_the_work_stays_its_own() -> None:
    """It is no death."""

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await dying(fails(), 5)


async def test_being_cancelled_is_not_dying() -> None:
    """Whoever cancels the test is heard by the work, and hears of it."""
    work, never = Work(), asyncio.Event()

    async def waits() -> None:
        try:
            await never.wait()
        finally:
            work.let_go = True

    task = asyncio.create_task(dying(waits(), 5))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.let_go


async def test_whoever_is_killed_answers_nobody() -> None:
    """Work that swallows its end, or fails on its way out, has died all the same."""

    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return "alive"

    async def clumsy() -> str:
        try:
            await asyncio.sleep(0)
        finally:
            raise ValueError("the connection is gone")

    for work in (stubborn(), clumsy()):
        with pytest.raises(Died):
            await dying(work, 1)
