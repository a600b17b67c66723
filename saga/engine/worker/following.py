"""The loops that follow the history, one for each sink: none of them can slow or stop a saga, or another sink."""

import asyncio
import logging
from collections.abc import Sequence

from saga.engine.follow import Follower, Progress
from saga.engine.settings import FollowSettings
from saga.engine.worker.pause import Pause

log = logging.getLogger("saga.engine")


class Following:
    """Every follower of a process."""

    def __init__(self, followers: Sequence[Follower], settings: FollowSettings) -> None:
        self._followers = followers
        self._settings = settings
        self._stopping = asyncio.Event()
        self._progress: dict[str, Progress] = {}
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Follow until `stop`, then finish the batch under way and give the cursors up. Whatever fails is tried again,
        less and less often."""
        loops = [asyncio.create_task(self._follow(each), name=f"follow {each.name}") for each in self._followers]
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

    async def _follow(self, follower: Follower) -> None:
        pause = Pause(self._stopping, self._settings.interval_seconds)
        while not self._stopping.is_set():
            try:
                progress = await follower.step()
            except Exception as error:  # noqa: BLE001 - whatever a sink raises, it is tried again
                self._failed(follower, error)
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
        if self._trouble.pop(name, None) is not None:
            log.info("follows again", extra={"follower": name})
        known, self._progress[name] = self._progress.get(name), progress
        here = progress is not Progress.ELSEWHERE
        if known is None or here != (known is not Progress.ELSEWHERE):
            log.info("follows here" if here else "stands by: another process follows", extra={"follower": name})

    def _failed(self, follower: Follower, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self._trouble.get(follower.name) != reason:  # an outage is one line, not one for each try
            log.warning("cannot follow; trying again", extra={"follower": follower.name, "reason": reason})
        self._trouble[follower.name] = reason

    async def _leave(self, follower: Follower) -> None:
        try:
            await follower.release()
        except Exception as error:  # noqa: BLE001 - the lease ends by itself
            log.warning("a cursor was not given up", extra={"follower": follower.name, "reason": str(error)})
