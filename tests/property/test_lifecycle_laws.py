"""Laws of lifecycle events, for any history that inputs in any order can lead to."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given

from saga.core.evolve import evolve_commit
from saga.core.lifecycle import LifecycleEvent, Moment, lifecycle
from saga.core.outstanding import view
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.wire import BODY_BYTES_MAX, lifecycle_to_wire
from tests.property.test_core_laws import PLANS, RELAXED, SCRIPTS, Played, played


def told(case: Played) -> list[LifecycleEvent]:
    """Everything a history tells."""
    state: SagaState | None = None
    found: list[LifecycleEvent] = []
    for commit in case.commits:
        before, state = state, evolve_commit(state, commit)
        events = lifecycle(case.plan, before, state, commit, case.now)
        assert all(event.version == state.version for event in events)
        assert all(event.status == view(case.plan, state).status for event in events)
        found += events
    return found


@given(PLANS, SCRIPTS)
@RELAXED
def test_a_saga_starts_first_and_ends_last(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """One start, one end if it has ended, and nothing after it, whatever arrives late."""
    case = played(of, script)
    moments = [event.moment for event in told(case)]
    assert moments.count(Moment.STARTED) == 1
    assert moments[0] is Moment.STARTED
    assert moments.count(Moment.ENDED) == (1 if case.state.terminal else 0)
    assert not case.state.terminal or moments[-1] is Moment.ENDED


@given(PLANS, SCRIPTS)
@RELAXED
def test_no_two_events_share_an_id(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """And versions never fall."""
    events = told(played(of, script))
    ids = [event.id for event in events]
    assert len(set(ids)) == len(ids)
    assert all(earlier.version <= later.version for earlier, later in pairwise(events))


@given(PLANS, SCRIPTS)
@RELAXED
def test_who_stands_parked_or_undoing_was_told_so(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """The last word on each is what the state says."""
    case = played(of, script)
    events, state = told(case), case.state
    parked = [event for event in events if event.moment is Moment.PARKED]
    if state.parked:
        assert {one.path for one in parked[-1].parked} >= set(state.parked)
    if state.phase == "compensating":
        assert [event.because for event in events if event.moment is Moment.COMPENSATING] != []
    if state.paused_at is not None:
        waiting = [event for event in events if event.moment is Moment.WAITING]
        assert "paused" in {wait.kind for wait in waiting[-1].waits}


@given(PLANS, SCRIPTS)
@RELAXED
def test_every_event_fits_on_the_wire_and_says_the_same_twice(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Small, without a value of the input, and byte for byte the same when it is told again."""
    case = played(of, script)
    for first, again in zip(told(case), told(case), strict=True):
        message = lifecycle_to_wire(first)
        assert message == lifecycle_to_wire(again)
        assert len(message.body) < BODY_BYTES_MAX
        assert message.routing_key == f"{case.state.name}.{first.moment}"
        assert "input" not in msgspec.json.decode(message.body)
