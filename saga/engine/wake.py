"""The step that looks at the clock: sagas whose alarm rang become work."""

from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.ports import Wakes


async def wake(wakes: Wakes, settings: EngineSettings) -> list[Work]:
    """Claim what is due by store time. The claim is the lease: nobody else takes these sagas meanwhile.

    Raises Unavailable.
    """
    due = await wakes.claim(settings.wake_claim_max, settings.wake_lease_seconds)
    return [Work(None, each.saga) for each in due]
