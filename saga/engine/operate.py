"""The step an operator takes: decide on the stored state and commit, like any input, from any process.

The commit sets the saga's alarm to now, so that an orchestrator sends what follows from it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from saga.core import decisions, events
from saga.core.decide import Decision, decide
from saga.core.errors import SagaError
from saga.core.inputs import Abandon, Cancel, DecisionGiven, Pause, Resolve, Resume
from saga.core.operate import objection
from saga.core.outstanding import next_wake, view
from saga.core.plan import Plan, pivot_passed
from saga.core.state import Phase, SagaState
from saga.engine.cache import Live, SagaCache
from saga.engine.catalog import Catalog
from saga.engine.commit import commit_all
from saga.ports import Advance, Batch, Clock, Store

TRIES = 20
BY_OPERATOR: Final = "operator "
"""How the cause of such a commit begins, and of no other; the verb follows. Whoever counts knows it by this."""

Operation = Cancel | Abandon | Pause | Resume | Resolve | DecisionGiven


class NotPossible(SagaError):
    """The operation does not fit the saga's present state; the text says what would."""

    code = "SAGA-3002"


class NoSuchSaga(SagaError):
    """The store has no saga with this id."""

    code = "SAGA-3001"


class Unreadable(SagaError):
    """The saga is there and this release cannot read its history."""

    code = "SAGA-3003"


async def operate(store: Store, clock: Clock, saga: str, operation: Operation) -> SagaState:
    """Apply an operation at the store's time; returns the state it led to. The same again changes nothing.

    Raises NoSuchSaga, Unreadable, NotPossible, Unavailable, SchemaMismatch.
    """

    def decided(live: Live, now: datetime) -> Decision:
        return _decided(live, msgspec.structs.replace(operation, now=now))

    live, after = await commit_decision(store, clock, saga, decided, cause=f"{BY_OPERATOR}{_called(operation)}")
    _too_late(live, after, operation)
    return after


async def commit_decision(
    store: Store, clock: Clock, saga: str, decided: Callable[[Live, datetime], Decision], *, cause: str
) -> tuple[Live, SagaState]:
    """Commit what is decided on the stored state at the store's time, and again when another process was faster.

    Returns what was decided on and the state it led to; nothing is written for a decision without events. Raises
    NoSuchSaga, Unreadable, NotPossible, Unavailable, SchemaMismatch, and whatever `decided` raises.
    """
    cache = SagaCache(store, Catalog(store, clock), sagas_max=1)
    for _ in range(TRIES):
        now = (await store.commit(Batch())).now  # the operator's machine may think it is another day
        live = await _read(cache, saga)
        decision = decided(live, now)
        if decision.events:
            outcome = await commit_all(store, Batch(advances=[_advance(live, decision, cause, now)]))
            if (refused := outcome.refused.get(saga)) is not None:
                raise NotPossible(f"the store refuses what this leads to: {refused}")
            if saga not in outcome.won:
                cache.forget(saga)
                continue
        return live, decision.state
    raise NotPossible(f"the saga moved {TRIES} times while this was tried. Fix: try again")


def _called(operation: Operation) -> str:
    if isinstance(operation, DecisionGiven):
        return f"decision {operation.choice} by {operation.approver}"
    return type(operation).__name__.lower()


async def _read(cache: SagaCache, saga: str) -> Live:
    found = await cache.read([saga])
    if saga in found.unreadable:
        raise Unreadable(f"the history of {saga} cannot be read: {found.unreadable[saga]}")
    if saga not in found.live:
        raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
    return found.live[saga]


def _decided(live: Live, operation: Operation) -> Decision:
    if isinstance(operation, DecisionGiven):
        against = decisions.objection(live.plan, live.state, operation)
        if against is not None:
            raise NotPossible(against.text, code=against.code)
    if live.state.terminal and not isinstance(operation, DecisionGiven):
        raise NotPossible(f"the saga has ended: {live.state.phase}")
    if isinstance(operation, Resolve) and (refusal := objection(live.plan, live.state, operation)) is not None:
        raise NotPossible(refusal)
    return decide(live.plan, live.state, operation)


def _advance(live: Live, decision: Decision, cause: str, now: datetime) -> Advance:
    after = decision.state
    return Advance(
        saga=after.saga,
        expected_version=live.state.version,
        cause=cause,
        data=events.encode(decision.events),
        view=view(live.plan, after),
        wake_at=now if is_to_be_looked_at(live.plan, after, now) else None,
    )


def is_to_be_looked_at(plan: Plan, after: SagaState, now: datetime) -> bool:
    """There is something to send: also the answer of a child that ended by this."""
    if after.terminal:
        return next_wake(plan, after, now, after.version - 1) is not None
    return after.paused_at is None


def _too_late(live: Live, after: SagaState, operation: Operation) -> None:
    """A cancel after the pivot is recorded and does nothing: say so. Raises NotPossible."""
    if isinstance(operation, Cancel) and after.phase is Phase.RUNNING and pivot_passed(live.plan, after):
        raise NotPossible("the pivot has passed: the saga only goes forward. Fix: let it complete, then undo by hand")
