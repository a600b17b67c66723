"""The step after a broker lost everything: what each open saga has on the wire is sent again."""

from saga.engine.dispatch import dispatch_of
from saga.engine.lookup import read_live
from saga.ports import Bus, Clock, SagaFilter, Store
from saga.wire import command_to_wire

OPEN_STATUSES = ("running", "compensating", "parked")
PAGE_SAGAS = 500


async def resend_all(store: Store, bus: Bus, clock: Clock) -> int:
    """Send every outstanding command under its old attempt id, which is always safe; returns how many.

    What reaches no queue is left to the alarms. Raises Unavailable.
    """
    sent_count = 0
    before: str | None = None
    while page := await store.sagas(SagaFilter(statuses=OPEN_STATUSES, before=before, limit=PAGE_SAGAS)):
        before = page[-1].saga
        for row in page:
            live = await read_live(store, clock, row.saga)
            dispatch = None if live is None else dispatch_of(live.plan, live.state, after_version=0)
            if dispatch is not None:
                await bus.publish([command_to_wire(command) for command, _ in dispatch.commands])
                sent_count += len(dispatch.commands)
    return sent_count
