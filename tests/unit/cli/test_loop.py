"""Which event loop a process runs on."""

import asyncio
import sys

import pytest

from saga.cli import loop
from saga.cli.failure import CommandFailed


async def running_on() -> str:
    return loop.name_of(asyncio.get_running_loop())


@pytest.mark.parametrize(("wanted", "found"), [("auto", "uvloop"), ("uvloop", "uvloop"), ("asyncio", "asyncio")])
def test_uvloop_is_used_where_it_is_installed(wanted: str, found: str) -> None:
    """Unless the settings say otherwise."""
    assert loop.run(running_on(), wanted) == found


def test_without_uvloop_asyncio_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; only who demands it is told that it is missing, and how to get it."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop.run(running_on(), "auto") == "asyncio"
    with pytest.raises(CommandFailed, match=r"pip install 'saga-engine\[fast\]'"):
        loop.run(running_on(), "uvloop")
