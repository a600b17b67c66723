"""`saga run --no-follow` and `saga follow` with short leases, small batches and a resend after one second instead of
ten, so that many deaths fit in a short run.

python -m tests.acceptance.impatient orchestrator|follower
"""

import asyncio
import os
import sys
from datetime import timedelta

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.bootstrap.orchestrators import engine_settings, following
from saga.core import outstanding
from saga.engine.settings import FollowSettings
from saga.engine.worker import Orchestrator
from saga.settings import Settings, load
from saga.stores import CLOCK, IDS, open_store

RESEND_AFTER = timedelta(seconds=1)
FOLLOW = FollowSettings(batch_max=3, interval_seconds=0.05, standby_seconds=0.1, lease_seconds=0.5)


async def orchestrate(settings: Settings) -> None:
    """Until it is killed."""
    vars(outstanding)["RESEND_AFTER"] = RESEND_AFTER  # no setting: nobody else needs it shorter
    bus, store = await open_bus(settings.amqp, name="orchestrator"), await open_store(settings.store)
    chosen = msgspec.structs.replace(engine_settings(settings), wake_interval_seconds=0.1, wake_lease_seconds=0.5)
    print("started", flush=True)
    await Orchestrator(store, bus, CLOCK, IDS, chosen).run()


async def follow(settings: Settings) -> None:
    """Until it is killed."""
    async with following(settings, name="follower", follow=FOLLOW) as loops:
        print("started", flush=True)
        await loops.run()


if __name__ == "__main__":
    work = {"orchestrator": orchestrate, "follower": follow}[sys.argv[1]]
    asyncio.run(work(load(os.environ, {})[0]))
