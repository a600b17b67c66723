"""Back-off: how long a loop waits before it tries again."""

import asyncio

PAUSE_FIRST_SECONDS = 0.1
PAUSE_MAX_SECONDS = 5.0


class Pause:
    """Waits longer each time, and not through a stop."""

    def __init__(
        self,
        stopping: asyncio.Event,
        first_seconds: float = PAUSE_FIRST_SECONDS,
        max_seconds: float = PAUSE_MAX_SECONDS,
    ) -> None:
        self._stopping = stopping
        self._first_seconds = first_seconds
        self._max_seconds = max(max_seconds, first_seconds)
        self._seconds = first_seconds

    def over(self) -> None:
        """It works again."""
        self._seconds = self._first_seconds

    async def longer(self) -> None:
        """Wait, twice as long as before."""
        seconds, self._seconds = self._seconds, min(self._seconds * 2, self._max_seconds)
        await self.wait(seconds)

    async def usual(self) -> None:
        """Wait the usual time."""
        self.over()
        await self.wait(self._first_seconds)

    async def wait(self, seconds: float) -> None:
        """Wait this long, or until told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
