"""The bugs of branches, items, turns, waits and approvals: each takes the right function and gives a wrong one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from saga.core import inputs as i
from saga.core.blocks import Block, Each, Join, OnBranchFailed, Parallel, Repeat
from saga.core.compensation import is_being_undone
from saga.core.events import AnyEvent, Closed, CompensationStarted, SagaCompensated, SagaResumed
from saga.core.messages import Kind, Outcome
from saga.core.progress import DONE, Blocked, Done, Failing, Progress
from saga.core.state import Execution, Phase, SagaState, StepState

replace = msgspec.structs.replace


def failed_branch_is_done(original: Any) -> Any:
    """A branch that failed beside one that succeeded is taken for done."""

    def together(found: Iterable[Progress], on_failed: Any) -> Any:
        listed = list(found)
        if any(isinstance(each, Done) for each in listed):
            listed = [DONE if isinstance(each, Failing) else each for each in listed]
        return original(listed, on_failed)

    return together


def releases_nothing(_original: Any) -> Any:
    """What is parked in a block stays parked when the block is given up."""
    return lambda *_: ()


def one_sibling_is_unknown(original: Any) -> Any:
    """Of several steps in flight only the newest is undone."""

    def undo_targets(state: SagaState, blocks: Any, at: Any = None) -> Any:
        found = original(state, blocks) if at is None else original(state, blocks, at)
        unknown = [step for step in found if state.steps[step.path].action.outcome is None]
        unknown.sort(key=lambda step: state.steps[step.path].action.issued)
        return [step for step in found if step not in unknown[:-1]]

    return undo_targets


def forgets_the_last_item(original: Any) -> Any:
    """The undo of a map leaves out its last item."""

    def ways(state: SagaState, block: Block, at: Any) -> Any:
        found = original(state, block, at)
        return found[:-1] if isinstance(block, Each) else found

    return ways


def turns_forward(original: Any) -> Any:
    """Turns are undone in the order in which they were made."""

    def ways(state: SagaState, block: Block, at: Any) -> Any:
        found = original(state, block, at)
        return found[::-1] if isinstance(block, Repeat) else found

    return ways


def clock_runs_on(_original: Any) -> Any:
    """A pause of the saga does not stop this clock."""
    return lambda open_thing, _paused_at, _now: open_thing


def click_after_the_end(original: Any) -> Any:
    """A decision counts as long as nobody has closed the request, whatever the time."""

    def over(plan: Any, state: SagaState, given: i.DecisionGiven, request: Any) -> Any:
        return original(plan, state, given, replace(request, expires_at=None))

    return over


def counts_twice(original: Any) -> Any:
    """The second click of one person is a second approval."""

    def on_decision(plan: Any, state: SagaState, given: i.DecisionGiven) -> tuple[AnyEvent, ...]:
        requests = {
            path: replace(request, decisions=tuple(replace(d, approver=f"{d.approver}'") for d in request.decisions))
            for path, request in state.requests.items()
        }
        found: tuple[AnyEvent, ...] = original(plan, replace(state, requests=requests), given)
        return found

    return on_decision


def whatever_was_seen(original: Any) -> Any:
    """Nobody compares what the approver saw with what is there."""

    def on_decision(plan: Any, state: SagaState, given: i.DecisionGiven) -> tuple[AnyEvent, ...]:
        request = state.requests.get(given.path)
        seen = given if request is None else replace(given, digest=request.digest)
        found: tuple[AnyEvent, ...] = original(plan, state, seen)
        return tuple(
            replace(event, digest=given.digest) if type(event).__name__ == "ApprovalDecided" else event
            for event in found
        )

    return on_decision


def permit_for_ever(original: Any) -> Any:
    """A permit is not used up."""

    def permit(place: Any, step: Any, execution: int, body: bytes) -> Any:
        requests = {path: replace(request, used_by=None) for path, request in place.state.requests.items()}
        return original(replace(place, state=replace(place.state, requests=requests)), step, execution, body)

    return permit


def every_copy_counts(original: Any) -> Any:
    """A signal that comes twice is two signals."""

    def on_signal(plan: Any, state: SagaState, given: i.SignalGiven) -> tuple[AnyEvent, ...]:
        found: tuple[AnyEvent, ...] = original(plan, replace(state, signal_ids=frozenset()), given)
        return found

    return on_signal


def only_heard(original: Any) -> Any:
    """A completed child answers that it is undone, and does nothing."""

    def on_parent(state: SagaState, given: i.ParentAsks) -> tuple[AnyEvent, ...]:
        found: tuple[AnyEvent, ...] = original(state, given)
        if any(isinstance(event, CompensationStarted) for event in found):
            return (*found, SagaCompensated(at=given.now))
        return found

    return on_parent


def begins_when_undone(original: Any) -> Any:
    """A child that is undone before it began begins then."""
    return lambda *given: replace(original(*given), tombstone=False)


def no_time_for_steps(original: Any) -> Any:
    """A pause moves what an attempt has, and not what the step has."""

    def moved(execution: Execution, paused_at: datetime, now: datetime) -> Execution:
        found: Execution = original(execution, paused_at, now)
        return replace(found, within_at=execution.within_at)

    return moved


def deadline_runs_on(original: Any) -> Any:
    """A pause does not move the deadline of the saga."""

    def resume(state: SagaState, event: SagaResumed) -> SagaState:
        found: SagaState = original(state, event)
        return replace(found, deadline_at=state.deadline_at)

    return resume


# ------------------------------------------------------------------------------------------------- joins and items
# In a world without faults these would be seen at once: they strike only sagas in which something went wrong already.


def disturbed(state: SagaState) -> bool:
    """Something was asked twice, or failed."""
    return any(step.action.attempt > 1 or step.action.outcome is Outcome.FAILED for step in state.steps.values())


def one_branch_is_enough(original: Any) -> Any:
    """A block goes on when its first branch is through."""

    def parallel(place: Any, block: Parallel, walk: Any, undo: Any) -> Any:
        found = original(place, block, walk, undo)
        if block.join is Join.ALL and isinstance(found, Blocked) and disturbed(place.state):
            done = (isinstance(walk(branch.body, place.at), Done) for branch in block.branches)
            return DONE if any(done) else found
        return found

    return parallel


def losers_stand(original: Any) -> Any:
    """The branches that lost are not undone."""

    def parallel(place: Any, block: Parallel, walk: Any, undo: Any) -> Any:
        return original(place, block, walk, (lambda *_: DONE) if disturbed(place.state) else undo)

    return parallel


def failure_waits(original: Any) -> Any:
    """A failure always lets the others finish."""
    return lambda found, _on_failed: original(found, OnBranchFailed.FINISH)


def failure_stops(original: Any) -> Any:
    """A failure never lets the others finish."""
    return lambda found, _on_failed: original(found, OnBranchFailed.STOP)


def window_open(original: Any) -> Any:
    """One item more than the window is begun."""

    def each(place: Any, block: Each, walk: Any) -> Any:
        return original(place, replace(block, window=block.window + disturbed(place.state)), walk)

    return each


def no_limit(original: Any) -> Any:
    """However many items there are, the saga runs over them."""
    return lambda place, block, items: original(place, replace(block, limit=10**6), items)


def other_way_at_once(original: Any) -> Any:
    """The other way is taken before the block is undone."""

    def undo(self: Any, blocks: Any, at: Any) -> Any:
        found = original(self, blocks, at)
        return DONE if isinstance(found, Blocked) and disturbed(self._state) else found

    return undo


# -------------------------------------------------------------------------------------------------------- children


def child_goes_on(original: Any) -> Any:
    """A running child that is undone goes on to its end first, whatever the definition says."""
    return lambda state, given: original(state, replace(given, wait=given.wait or disturbed(state)))


def child_is_cancelled(original: Any) -> Any:
    """A running child that is undone is cancelled, whatever the definition says."""
    return lambda state, given: original(state, replace(given, wait=given.wait and not disturbed(state)))


def child_answers_early(original: Any) -> Any:
    """A child says that it is undone when it has only begun to undo."""

    def answer(state: SagaState) -> Any:
        undone = state.asked_by is not None and state.asked_by.kind is Kind.COMPENSATION
        early = undone and state.phase is Phase.COMPENSATING and disturbed(state)
        return original(replace(state, phase=Phase.COMPENSATED) if early else state)

    return answer


def parent_does_not_wait(original: Any) -> Any:
    """The next undo does not wait for the child behind it."""

    def next_undo(state: SagaState, blocks: Any, at: Any, now: datetime) -> Any:
        steps = {
            path: replace(step, undone=step.undone or (_asks_a_child(step) and is_being_undone(step)))
            for path, step in state.steps.items()
        }
        found = original(replace(state, steps=steps), blocks, at, now) if disturbed(state) else None
        return original(state, blocks, at, now) if found is None else found

    return next_undo


def _asks_a_child(step: StepState) -> bool:
    return step.undo is not None and b'"running"' in step.undo.body


# ------------------------------------------------------------------------------------------------------- approvals


def older_request_counts(original: Any) -> Any:
    """A click on a request of before counts for the one of now."""
    return lambda plan, state, given: original(plan, state, replace(given, number=None))


def permit_after_edit(original: Any) -> Any:
    """What an approver changed may be sent again and again."""

    def permit(place: Any, step: Any, execution: int, body: bytes) -> Any:
        requests = {
            path: replace(request, used_by=None) if request.edited else request
            for path, request in place.state.requests.items()
        }
        return original(replace(place, state=replace(place.state, requests=requests)), step, execution, body)

    return permit


def counts_after_expiry(original: Any) -> Any:
    """A click still counts after the request was closed for silence."""

    def on_decision(plan: Any, state: SagaState, given: i.DecisionGiven) -> tuple[AnyEvent, ...]:
        requests = {
            path: replace(request, closed=None, expires_at=None) if request.closed is Closed.EXPIRED else request
            for path, request in state.requests.items()
        }
        found: tuple[AnyEvent, ...] = original(plan, replace(state, requests=requests), given)
        return found

    return on_decision


def expires_after_the_decision(original: Any) -> Any:
    """The time to decide ends also what was decided."""

    def waiting(plan: Any, state: SagaState) -> Any:
        again = {
            path: replace(request, closed=None) if request.closed is Closed.APPROVED else request
            for path, request in state.requests.items()
        }
        return original(plan, replace(state, requests=again))

    return waiting
