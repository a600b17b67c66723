"""The step that looks at the clock: sagas whose alarm rang become work."""

from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.engine.time import StoreClock
from saga.ports import Wakes


async def wake(wakes: Wakes, settings: EngineSettings, clock: StoreClock) -> list[Work]:
    """Claim what is due by store time. The claim is the lease: nobody else takes these sagas meanwhile.

    It also tells the store's time, so that what is claimed is found to be due, and nothing else with it: after days
    without a commit, or on a machine that slept, the estimate may be far off. Raises Unavailable.
    """
    asked = clock.asked()
    due = await wakes.claim(settings.wake_claim_max, settings.wake_lease_seconds)
    if due:
        clock.learn(due[0].now, asked)
    return [Work(None, each.saga, due_at=each.wake_at) for each in due]
