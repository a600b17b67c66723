"""What time does: attempts that time out, back-offs that end, dispatches that are late, the saga's own deadline."""

from datetime import datetime, timedelta

from saga.core import approvals, waits
from saga.core import events as e
from saga.core.address import address_of, instance, template
from saga.core.blocks import EXHAUSTED, Attempt, OnExhausted, Step, StepKind
from saga.core.inputs import Delivered, Tick, Undelivered
from saga.core.messages import Kind
from saga.core.outstanding import awaits_child, is_in_doubt
from saga.core.plan import Plan, pivot_passed, pursued
from saga.core.retry import (
    backoff,
    forgotten,
    in_deploy_gap,
    next_attempt_at,
    policy_of,
    reason_of,
    reopened,
    uncounted_backoff,
    used_up,
)
from saga.core.state import Execution, SagaState, Waiting


def on_tick(plan: Plan, state: SagaState, given: Tick) -> tuple[e.AnyEvent, ...]:
    """Everything that is due by `now`. A paused saga has no clock."""
    if state.paused_at is not None:
        return ()
    found: list[e.AnyEvent] = []
    for path, current in state.steps.items():
        step = plan.step(path)
        for execution in (current.action, current.undo):
            if execution is None or not pursued(plan, state, step, execution):
                continue
            if _to_be_sent(execution, given) and forgotten(step, current, execution, given.now):
                found.append(park_forgotten(step, execution, given.now))
            else:
                found += _execution_due(plan, state, step, execution, given)
    found += waits.due(plan, state, given.now)
    found += approvals.due(plan, state, given.now)
    if given.now >= state.deadline_at and not state.deadline_passed:
        found.append(e.DeadlinePassed(at=given.now))
    return tuple(found)


def _to_be_sent(execution: Execution, given: Tick) -> bool:
    """The current attempt still has to reach a queue, or is sent again in a deploy gap; or the next one is due."""
    if execution.waiting is Waiting.DELIVERY:
        return True
    if execution.wake_at is None or execution.wake_at > given.now:
        return in_deploy_gap(execution)
    return execution.waiting is Waiting.BACKOFF or is_in_doubt(execution, given.dispatched_version)


def park_forgotten(step: Step, execution: Execution, now: datetime) -> e.AnyEvent:
    """The participant may have forgotten by the time an attempt arrives: sending is not safe any more."""
    what = step.path if execution.kind is Kind.ACTION else f"the undo of {step.path}"
    text = f"{what} was first sent {now - execution.issued_at} ago and its key may be forgotten: it is in doubt"
    return e.StepParked(at=now, path=step.path, kind=execution.kind, code=e.ParkCode.KEY_FORGOTTEN, text=text)


def _execution_due(
    plan: Plan, state: SagaState, step: Step, execution: Execution, given: Tick
) -> tuple[e.AnyEvent, ...]:
    if execution.wake_at is None or execution.wake_at > given.now:
        return ()
    if execution.waiting is Waiting.BACKOFF:
        return (_again(step, execution, given.now),)
    if execution.waiting is not Waiting.REPLY:
        return ()
    if is_in_doubt(execution, given.dispatched_version):
        return (_delayed(step.path, execution, given.now, "not confirmed by the broker yet"),)
    if awaits_child(step, execution):
        return ()  # it is asked again, and nothing is recorded: `outstanding.asked_again`
    return end_attempt(plan, state, step, execution, given.now, why="timeout")


def _again(step: Step, execution: Execution, now: datetime) -> e.AnyEvent:
    return e.CommandRepeated(
        at=now,
        path=step.path,
        kind=execution.kind,
        execution=execution.number,
        attempt=execution.attempt + 1,
        due_at=now + step.timeout,
    )


def end_attempt(  # noqa: PLR0913 - one attempt's end is described by exactly these facts
    plan: Plan,
    state: SagaState,
    step: Step,
    execution: Execution,
    now: datetime,
    *,
    why: str,
    message: str = "",
    retry_after: timedelta | None = None,
    uncounted_cap: timedelta | None = None,
) -> tuple[e.AnyEvent, ...]:
    """An attempt brought nothing definite: back off, or the step's attempts or time are used up.

    With `uncounted_cap` it was no real attempt (busy, a deploy gap): it uses up neither attempts nor time.

    Also an at-most-once step is asked again: its service looks the key up first, so it runs if it never arrived,
    answers again if it did, and says that it is in doubt if only a person can tell.
    """
    clock = now if state.paused_at is None else min(now, state.paused_at)  # a pause stops it, answers still come
    gap_ends = in_deploy_gap(execution)
    if gap_ends:
        execution = reopened(execution, clock)
    policy = policy_of(step, execution.kind)
    if uncounted_cap is None:
        wait = backoff(state.saga, step.path, execution, policy)
    else:
        wait = uncounted_backoff(state.saga, step.path, execution, uncounted_cap)
    next_at = next_attempt_at(now, wait, retry_after)
    if uncounted_cap is None and used_up(execution, policy, clock + (next_at - now)):
        return (_exhausted(plan, state, step, execution, now=now, why=reason_of(why, message)),)
    within_at = execution.within_at if gap_ends else None
    if uncounted_cap is not None and execution.within_at is not None:
        within_at = execution.within_at + (next_at - now) + _running_time(state, execution, now)
    return (
        e.AttemptEnded(
            at=now,
            path=step.path,
            kind=execution.kind,
            execution=execution.number,
            attempt=execution.attempt,
            why=why,
            next_at=next_at,
            message=message,
            counted=uncounted_cap is None,
            within_at=within_at,
        ),
    )


def _exhausted(
    plan: Plan, state: SagaState, step: Step, execution: Execution, *, now: datetime, why: str
) -> e.AnyEvent:
    """Give way where the definition says so; else a person looks. The outcome stays unknown either way."""
    summary = f"{execution.attempt} attempts since {execution.issued_at.isoformat(timespec='seconds')}, last: {why}"
    if execution.kind is Kind.ACTION and gives_way(plan, state, step):
        return e.StepExhausted(at=now, path=step.path, execution=execution.number, why=summary)
    what = step.path if execution.kind is Kind.ACTION else f"the undo of {step.path}"
    text = f"{what} is exhausted: {summary}"
    return e.StepParked(at=now, path=step.path, kind=execution.kind, code=e.ParkCode.EXHAUSTED, text=text)


def gives_way(plan: Plan, state: SagaState, step: Step) -> bool:
    """An exhausted step makes a block go the other way, or the saga compensate; never at or after the pivot."""
    if step.kind in (StepKind.PIVOT, StepKind.RETRYABLE):
        return False
    at = address_of(step.path)
    for scope in plan.scopes[template(step.path)]:
        catches = isinstance(scope, Attempt) and EXHAUSTED in scope.on
        if catches and instance(scope.path, at) not in state.blocks:
            return True
    return step.on_exhausted is OnExhausted.COMPENSATE and not pivot_passed(plan, state)


def on_undelivered(state: SagaState, given: Undelivered) -> tuple[e.AnyEvent, ...]:
    """No queue took the current attempt: its clock stops."""
    execution = _current_attempt(state, given)
    if execution is None or execution.waiting is not Waiting.REPLY:
        return ()
    return (_delayed(given.path, execution, given.now, given.detail),)


def on_delivered(plan: Plan, state: SagaState, given: Delivered) -> tuple[e.AnyEvent, ...]:
    """The broker has the current attempt after all: its clock runs from now."""
    execution = _current_attempt(state, given)
    if execution is None or execution.waiting is not Waiting.DELIVERY:
        return ()
    # It has been on its way since it was sent, not only since somebody noticed.
    delay = _running_time(state, execution, given.now)
    return (
        e.DispatchConfirmed(
            at=given.now,
            path=given.path,
            kind=given.kind,
            execution=execution.number,
            attempt=execution.attempt,
            due_at=given.now + plan.step(given.path).timeout,
            within_at=None if execution.within_at is None else execution.within_at + delay,
        ),
    )


def _running_time(state: SagaState, execution: Execution, now: datetime) -> timedelta:
    """How long the current attempt has taken of its execution's time. A pause is not counted: resuming moves it."""
    until = now if state.paused_at is None else min(now, state.paused_at)
    return max(until - execution.clock_at, timedelta(0))


def _current_attempt(state: SagaState, given: Undelivered | Delivered) -> Execution | None:
    step = state.steps.get(given.path)
    if step is None or state.terminal:
        return None
    execution = step.action if given.kind is Kind.ACTION else step.undo
    if execution is None or (execution.number, execution.attempt) != (given.execution, given.attempt):
        return None
    return execution if execution.outcome is None else None


def _delayed(path: str, execution: Execution, now: datetime, why: str) -> e.AnyEvent:
    return e.DispatchDelayed(
        at=now, path=path, kind=execution.kind, execution=execution.number, attempt=execution.attempt, why=why
    )
