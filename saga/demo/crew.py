"""Child processes of the demo: started, waited for, killed; none outlives it."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from saga.core.errors import SagaError
from saga.stores import CLOCK

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 3.0
LOOK_SECONDS = 0.02
LOG_LINES_SHOWN = 15


class ChildFailed(SagaError):
    """A process of the demo ended, or did not become ready."""

    code = "SAGA-6003"


class Child:
    """One process; what it says goes to a file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "saga.demo.child", *command]
        self._log = log
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None, "start it first"
        return self._process.pid

    async def start(self, ready_when: str, **environment: str) -> str:
        """Start it and wait for the line with these words, which is returned. Raises ChildFailed, with what it said."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment, **environment},
                start_new_session=True,  # Ctrl-C is for the demo, which then ends its children in order
            )
        give_up_at = CLOCK.monotonic() + READY_SECONDS_MAX
        while True:
            said = self._log.read_text(errors="replace").splitlines()
            for line in said:
                if ready_when in line:
                    return line
            if self._process.returncode is not None or CLOCK.monotonic() > give_up_at:
                tail = "\n".join(said[-LOG_LINES_SHOWN:])
                raise ChildFailed(f"{self.name} did not become ready. It said, in {self._log}:\n{tail}")
            await CLOCK.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """Raises ChildFailed when it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
            raise ChildFailed(f"{self.name} ended with {self._process.returncode}. It said, in {self._log}:\n{tail}")

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """Ask it to drain; kill it when it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            await self.kill()
