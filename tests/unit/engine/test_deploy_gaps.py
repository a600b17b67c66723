"""A command that its service does not know, as orchestrators see it: asked with the alarm, hardly ever committed."""

import pytest

from saga.core.messages import Outcome
from tests.builders import NOW
from tests.unit.engine.rig import Process, Rig

HOUR = 3_600.0


async def unknown(rig: Rig, process: Process) -> int:
    """Every command that waits is not known to its service; how many there were."""
    commands = await rig.commands("reserve-service")
    for command in commands:
        await process.hop(await rig.reply(command, Outcome.REFUSED, code="unknown-command"))
    return len(commands)


async def alarm(rig: Rig, process: Process) -> None:
    """The next one rings."""
    row = await rig.row()
    assert row.wake_at is not None
    rig.clock.seconds = (row.wake_at - NOW).total_seconds()
    await process.tick()


@pytest.fixture
async def gap(rig: Rig) -> Process:
    """The gap has lasted for an hour."""
    process = await rig.process()
    await process.hop(await rig.start())
    while rig.clock.seconds < HOUR:
        await unknown(rig, process)
        await alarm(rig, process)
    return process


async def test_it_is_asked_every_minute_without_a_commit(rig: Rig, gap: Process) -> None:
    """Neither the question nor the answer is recorded, by any of several processes, also after a crash."""
    await unknown(rig, gap)
    version, asked = (await rig.row()).version, 0
    assert version < 30
    for process in (gap, await rig.process(), await rig.process()):
        for _ in range(5):
            await alarm(rig, process)
            asked += await unknown(rig, process)
    assert asked == 15
    assert (await rig.row()).version - version <= 4


async def test_a_deploy_is_noticed_with_the_next_minute(rig: Rig, gap: Process) -> None:
    """Long before the next attempt would be recorded."""
    await unknown(rig, gap)
    version = (await rig.row()).version
    await alarm(rig, gap)
    [command] = await rig.commands("reserve-service")
    await gap.hop(await rig.reply(command))
    assert (await rig.row()).version == version + 1
    await rig.command("charge-service")
