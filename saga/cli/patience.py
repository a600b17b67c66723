"""Starting before what is needed is there: wait for it, say so, and leave when told to."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from saga.core.errors import SchemaMismatch, Unavailable

T = TypeVar("T")

PAUSE_FIRST_SECONDS = 0.5
PAUSE_MAX_SECONDS = 5.0

log = logging.getLogger("saga")


def stop_signals() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


class Patience:
    """Tries until it works or the process is told to stop. What is waited for is what readiness lacks."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.missing: dict[str, str] = {}

    async def wait_for(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T | None:
        """What the attempt returns once it succeeds; None when told to stop before."""
        pause = PAUSE_FIRST_SECONDS
        while not self._stop.is_set():
            self.missing[what] = "not tried yet"
            try:
                found = await attempt()
            except (Unavailable, SchemaMismatch) as error:
                self.missing[what] = str(error)
                log.warning("waiting", extra={"missing": what, "code": error.code, "reason": str(error)})
            else:
                del self.missing[what]
                return found
            try:
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            except TimeoutError:
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
        return None

    def report(self) -> dict[str, object]:
        """As the readiness endpoint shows it before the process is at work."""
        return {"ready": False, "missing": dict(self.missing), "draining": self._stop.is_set()}
