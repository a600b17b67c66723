"""Faults a participant can be told to have."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from saga.contract import Context, RetryLater
from services.faults import Faults, from_environment

CONTEXT = Context(key="k", saga="s", step="p", attempt=1)


async def test_no_faults_leave_the_handler_itself() -> None:
    """Without faults nothing stands between the library and the handler."""

    async def run(cmd: str, ctx: Context) -> str:
        return cmd

    assert Faults().around(run) is run
    assert from_environment({}) == Faults()


async def test_half_of_the_faults_come_after_the_effect() -> None:
    """Every run of a wholly faulty service raises or is lucky twice; some runs had their effect before raising."""
    effects: list[str] = []

    async def run(cmd: str, ctx: Context) -> str:
        effects.append(cmd)
        return cmd

    faulty = Faults(transient_rate=1.0).around(run)
    raised = 0
    for _ in range(200):
        try:
            await faulty("x", CONTEXT)
        except RetryLater:
            raised += 1
    assert 0 < len(effects) < 200
    assert len(effects) > 200 - raised


def test_faults_are_read_from_the_environment() -> None:
    """Each knob has its variable."""
    knobs = {"SAGA_FAULT_TRANSIENT_RATE": "0.1", "SAGA_FAULT_SLOW_RATE": "0.2", "SAGA_FAULT_SLOW_SECONDS": "3"}
    assert from_environment(knobs) == Faults(transient_rate=0.1, slow_rate=0.2, slow_seconds=3)
    with pytest.raises(ValueError, match="SAGA_FAULT_SLOW_RATE='much' is no number"):
        from_environment({"SAGA_FAULT_SLOW_RATE": "much"})


class ChargeCard(msgspec.Struct):
    """A command, by name."""


async def test_a_stall_holds_the_first_run_only(tmp_path: Path) -> None:
    """The first run has had its effect and never returns; those after it do, and each has a line."""
    effects: list[str] = []

    async def run(cmd: ChargeCard, ctx: Context) -> str:
        effects.append(ctx.key)
        return "done"

    file = tmp_path / "runs"
    stalling = Faults(stall="ChargeCard", stall_file=str(file)).around(run)
    first = asyncio.ensure_future(stalling(ChargeCard(), CONTEXT))
    while not effects or not file.exists():
        await asyncio.sleep(0)
    assert not first.done()
    assert await stalling(ChargeCard(), CONTEXT) == "done"
    first.cancel()
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["k", "k"]


def test_a_stall_needs_its_file() -> None:
    """One variable without the other is a mistake that is named."""
    with pytest.raises(ValueError, match="SAGA_FAULT_STALL is set and SAGA_FAULT_STALL_FILE is not"):
        from_environment({"SAGA_FAULT_STALL": "ChargeCard"})
