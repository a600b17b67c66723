"""The loops that follow the history, one for each sink: none of them can slow or stop a saga, or another sink."""

import asyncio
import logging
from collections.abc import Sequence

from saga.core.errors import SagaError
from saga.core.metrics.catalogue import FOLLOWER_LAG
from saga.core.metrics.tally import Labels, Tallies
from saga.engine.follow import Follower, Progress, UnreadableCommitError
from saga.engine.measures import age_seconds
from saga.engine.settings import FollowSettings
from saga.engine.worker.census import Census
from saga.engine.worker.pause import PAUSE_MAX_SECONDS, Pause
from saga.ports import Clock

log = logging.getLogger("saga.engine")


class Following:
    """Every follower of a process."""

    def __init__(self, followers: Sequence[Follower], settings: FollowSettings, census: Census | None = None) -> None:
        self._followers = followers
        self._census = census
        self._settings = settings
        self._stopping = asyncio.Event()
        self._progress: dict[str, Progress] = {}
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Follow until `stop`, then finish the batch under way and give the cursors up. Whatever fails is tried again,
        less and less often."""
        loops = [asyncio.create_task(self._follow(each), name=f"follow {each.name}") for each in self._followers]
        if self._census is not None:
            loops.append(asyncio.create_task(self._census.run(self._stopping), name="census"))
        try:
            await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to return. May be called from a signal handler."""
        self._stopping.set()

    def report(self) -> dict[str, dict[str, str]]:
        """What each follower does, for the readiness endpoint: whether it works here, and what holds it up."""
        found: dict[str, dict[str, str]] = {}
        for each in self._followers:
            state = {"state": str(self._progress.get(each.name, "starting"))}
            if each.delivered_at is not None:
                state["delivered-until"] = each.delivered_at.isoformat()
            if each.name in self._trouble:
                state["trouble"] = self._trouble[each.name]
            found[each.name] = state
        return found

    def show(self, tallies: Tallies, clock: Clock) -> None:
        """How far each follower that works here is behind, and the facts of the store."""

        def lags() -> dict[Labels, float]:
            now = clock.now()
            found: dict[Labels, float] = {}
            for each in self._followers:
                if (since := each.behind_since) is not None:
                    found[each.name,] = age_seconds(since, now)
                elif self._progress.get(each.name, Progress.ELSEWHERE) is not Progress.ELSEWHERE:
                    found[each.name,] = 0.0
            return found

        tallies.show(FOLLOWER_LAG, lags)
        if self._census is not None:
            self._census.show(tallies)

    async def _follow(self, follower: Follower) -> None:
        # At last longer than who stands by waits: where this one cannot reach its sink, another may.
        longest = max(PAUSE_MAX_SECONDS, 2 * self._settings.standby_seconds)
        pause = Pause(self._stopping, follower.interval_seconds, longest)
        while not self._stopping.is_set():
            try:
                progress = await follower.step()
            except Exception as error:  # noqa: BLE001 - whatever a sink raises, it is tried again
                self._failed(follower, error)
                await self._leave(follower)
                await pause.longer()
                continue
            self._note(follower.name, progress)
            match progress:
                case Progress.MORE:
                    pause.over()
                    await asyncio.sleep(0)
                case Progress.IDLE:
                    await pause.usual()
                case Progress.ELSEWHERE:
                    pause.over()
                    await pause.wait(self._settings.standby_seconds)
        await self._leave(follower)

    def _note(self, name: str, progress: Progress) -> None:
        here = progress is not Progress.ELSEWHERE
        if self._trouble.pop(name, None) is not None and here:
            log.info("follows again", extra={"follower": name})
        known, self._progress[name] = self._progress.get(name), progress
        if known is None or here != (known is not Progress.ELSEWHERE):
            log.info("follows here" if here else "stands by: another process follows", extra={"follower": name})

    def _failed(self, follower: Follower, error: Exception) -> None:
        ours = isinstance(error, SagaError | UnreadableCommitError)  # another's words may hold what it was given
        reason = f"{type(error).__name__}: {error}" if ours else type(error).__name__
        if self._trouble.get(follower.name) != reason:  # an outage is one line, not one for each try
            about = {"follower": follower.name, "reason": reason, **({} if ours else {"text": str(error)})}
            log.warning("cannot follow; trying again", extra=about)
        self._trouble[follower.name] = reason

    async def _leave(self, follower: Follower) -> None:
        try:
            await follower.release()
        except Exception as error:  # noqa: BLE001 - the lease ends by itself
            log.warning("a cursor was not given up", extra={"follower": follower.name, "reason": str(error)})
