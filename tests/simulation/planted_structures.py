"""The bugs of branches, items, turns, waits and approvals: each takes the right function and gives a wrong one."""

from collections.abc import Iterable
from typing import Any

import msgspec

from saga.core import inputs as i
from saga.core.blocks import Block, Each, Repeat
from saga.core.events import AnyEvent, CompensationStarted, SagaCompensated
from saga.core.progress import DONE, Done, Failing, Progress
from saga.core.state import SagaState

replace = msgspec.structs.replace


def failed_branch_is_done(original: Any) -> Any:
    """A branch that failed beside one that succeeded is taken for done."""

    def together(found: Iterable[Progress], on_failed: Any) -> Any:
        listed = list(found)
        if any(isinstance(each, Done) for each in listed):
            listed = [DONE if isinstance(each, Failing) else each for each in listed]
        return original(listed, on_failed)

    return together


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
