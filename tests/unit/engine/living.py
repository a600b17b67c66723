"""An orchestrator with its loops, over memory; nobody sleeps, everybody yields."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from saga import wire
from saga.core.messages import Outcome, ReplyEffect
from saga.core.topology import START
from saga.engine.settings import EngineSettings
from saga.engine.worker import Orchestrator
from saga.ports import Bus
from tests.builders import reply
from tests.unit.engine.rig import CALLER, CountingIds, ManualClock, Rig, start_message

SOON_SECONDS = 20.0
QUICK = EngineSettings(wake_interval_seconds=0.001, dispatched_after_seconds=0.002)


async def until(true: Callable[[], object]) -> None:
    """Let the loops run until it is so."""
    async with asyncio.timeout(SOON_SECONDS):
        while not true():
            await asyncio.sleep(0)


@asynccontextmanager
async def running(
    rig: Rig,
    settings: EngineSettings = QUICK,
    bus: Bus | None = None,
    *,
    ready: bool = True,
    machine: ManualClock | None = None,
) -> AsyncIterator[Orchestrator]:
    """An orchestrator at work; it is drained at the end."""
    await rig.process()
    engine = Orchestrator(rig.store, bus or rig.bus, machine or rig.clock, CountingIds(), settings)
    work = asyncio.create_task(engine.run())
    try:
        if ready:
            await until(lambda: engine.health.ready)
        yield engine
    finally:
        engine.stop()
        async with asyncio.timeout(SOON_SECONDS):
            await work


async def send_starts(rig: Rig, *orders: str) -> None:
    """As a caller."""
    sent = await rig.broker.bus(CALLER).publish([wire.start_to_wire(start_message(order)) for order in orders])
    assert {each.outcome for each in sent} == {"confirmed"}


async def serve(rig: Rig, service: str, count: int) -> None:
    """Answer so many commands of a service with ok."""
    bus = rig.broker.bus(service)
    subscription = await bus.consume(f"saga.commands.{service}", 100)
    async with asyncio.timeout(SOON_SECONDS):
        while count > 0:
            commands = await subscription.receive()
            count -= len(commands)
            answers = [
                wire.reply_to_wire(reply(wire.command_from_wire(each), Outcome.OK, effect=ReplyEffect.APPLIED))
                for each in commands
            ]
            await bus.publish(answers)
            await subscription.settle(commands)
    await subscription.close()


def waiting(rig: Rig, queue: str = START) -> int:
    """Messages that are in a queue and with nobody."""
    return rig.broker.ready_count(queue)
