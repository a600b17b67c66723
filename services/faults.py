"""Faults a participant can be told to have, for tests. All are off unless the environment turns them on.

    SAGA_FAULT_TRANSIENT_RATE   share of runs that raise: half of them before the effect, half after it
    SAGA_FAULT_SLOW_RATE        share of runs that wait first
    SAGA_FAULT_SLOW_SECONDS     how long they wait
    SAGA_FAULT_STALL            a command, `ChargeCard`: its first run never returns from between effect and commit
    SAGA_FAULT_STALL_FILE       gets a line for each run of it; a file that has one already lets every run through

A stalled run is there to be killed: it shows what a crash in the worst place costs.
Lost, repeated and late messages are injected outside the services, where they happen in life.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from saga.contract import Context, RetryLater
from services import environment as read

_CHANCE = random.Random()  # noqa: S311 - faults are no secrets

C = TypeVar("C")
R = TypeVar("R")
Run = Callable[[C, Context], Awaitable[R]]


class Faults(msgspec.Struct, frozen=True):
    """What goes wrong, how often."""

    transient_rate: float = 0.0
    slow_rate: float = 0.0
    slow_seconds: float = 0.0
    stall: str = ""
    stall_file: str = ""

    def around(self, run: Run[C, R]) -> Run[C, R]:
        """The handler with these faults; the handler itself when there are none.

        An error after the effect rolls back an `inbox` handler and leaves any other one unknown: both are what a
        crash in that place would do.
        """
        if self == Faults():
            return run

        async def faulty(cmd: C, ctx: Context) -> R:
            if _CHANCE.random() < self.slow_rate:
                await asyncio.sleep(self.slow_seconds)
            if _CHANCE.random() < self.transient_rate / 2:
                raise RetryLater("injected before the effect", code="injected")
            answer = await run(cmd, ctx)
            if _CHANCE.random() < self.transient_rate / 2:
                raise RetryLater("injected after the effect", code="injected")
            if type(cmd).__name__ == self.stall:
                is_first = _noted(Path(self.stall_file), ctx)
                if is_first:
                    await asyncio.Event().wait()  # for ever: until the process is killed
            return answer

        return faulty


def _noted(file: Path, ctx: Context) -> bool:
    """Write down a run; whether it is the first."""
    is_first = not file.exists()
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{ctx.key} attempt {ctx.attempt} in process {os.getpid()}\n")
    return is_first


def from_environment(environment: Mapping[str, str] = os.environ) -> Faults:
    """The faults this process was told to have. Raises ValueError, naming the variable and the fix."""
    return Faults(
        transient_rate=read.rate("SAGA_FAULT_TRANSIENT_RATE", environment=environment),
        slow_rate=read.rate("SAGA_FAULT_SLOW_RATE", environment=environment),
        slow_seconds=read.seconds("SAGA_FAULT_SLOW_SECONDS", environment=environment),
        stall=environment.get("SAGA_FAULT_STALL", ""),
        stall_file=read.together("SAGA_FAULT_STALL_FILE", wanted_by="SAGA_FAULT_STALL", environment=environment),
    )
