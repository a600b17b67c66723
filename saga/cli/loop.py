"""The event loop of long-running processes: uvloop where it is installed, unless the settings say otherwise."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from saga.cli.failure import CommandFailed

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], event_loop: str) -> T:
    """As `asyncio.run`. Raises CommandFailed when uvloop is demanded and not there."""
    try:
        factory = factory_of(event_loop)
    except CommandFailed:
        main.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def factory_of(event_loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that the setting names; None: asyncio's own. Raises CommandFailed."""
    if event_loop == "asyncio":
        return None
    try:
        import uvloop
    except ImportError as error:
        if event_loop == "auto":
            return None
        fix = "pip install 'saga-engine[fast]', or event_loop = auto"
        raise CommandFailed(
            "SAGA-1002", f"event_loop = uvloop, and it is not installed ({error}). Fix: {fix}"
        ) from None
    return uvloop.new_event_loop


def name_of(loop: asyncio.AbstractEventLoop) -> str:
    """`uvloop` or `asyncio`, for the log."""
    return type(loop).__module__.partition(".")[0]
