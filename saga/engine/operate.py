"""The step an operator takes: decide on the stored state and commit, like any input, from any process.

The commit sets the saga's alarm to now, so that an orchestrator sends what follows from it.
"""

from saga.core import events
from saga.core.decide import decide
from saga.core.errors import SagaError
from saga.core.inputs import Abandon, Cancel, Pause, Resolve, Resume
from saga.core.operate import objection
from saga.core.outstanding import view
from saga.core.state import SagaState
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.commit import commit_all
from saga.ports import Advance, Batch, Clock, Store

TRIES = 20

Operation = Cancel | Abandon | Pause | Resume | Resolve


class NotPossible(SagaError):
    """The operation does not fit the saga's present state; the text says what would."""


class NoSuchSaga(SagaError):
    """The store has no saga with this id."""


async def operate(store: Store, clock: Clock, saga: str, operation: Operation) -> SagaState:
    """Apply an operation; returns the state it led to. The same again changes nothing.

    Raises NoSuchSaga, NotPossible, Unavailable.
    """
    cache = SagaCache(store, Catalog(store, clock), sagas_max=1)
    for _ in range(TRIES):
        live = (await cache.current([saga])).get(saga)
        if live is None:
            raise NoSuchSaga(f"there is no saga {saga} in this store")
        if live.state.terminal:
            raise NotPossible(f"the saga has ended: {live.state.phase}")
        if isinstance(operation, Resolve) and (refusal := objection(live.plan, live.state, operation)) is not None:
            raise NotPossible(refusal)
        decision = decide(live.plan, live.state, operation)
        if not decision.events:
            return live.state
        advance = Advance(
            saga=saga,
            expected_version=live.state.version,
            cause=f"operator {type(operation).__name__.lower()}",
            data=events.encode(decision.events),
            view=view(live.plan, decision.state),
            wake_at=None if decision.state.terminal or decision.state.paused_at is not None else clock.now(),
        )
        committed = await commit_all(store, Batch(advances=[advance]))
        if saga in committed.sagas:
            return decision.state
        cache.forget(saga)
    raise NotPossible(f"the saga moved {TRIES} times while this was tried. Fix: try again")
