"""When to try again, and when to stop."""

from datetime import datetime, timedelta

import msgspec

from saga.core.bounds import ACTION_EXPIRES_AFTER, RETRY_AFTER_MAX, UNCOUNTED_FIRST, WHY_CHARACTERS_MAX
from saga.core.definition import RetryPolicy, Step
from saga.core.identity import idempotency_key, jitter
from saga.core.messages import Kind
from saga.core.plan import template_of
from saga.core.state import Execution, StepState, Waiting


def policy_of(step: Step, kind: Kind) -> RetryPolicy:
    """The policy of the step's action or of its compensation."""
    return step.retry if kind is Kind.ACTION else step.undo_retry


def backoff(saga: str, path: str, execution: Execution, policy: RetryPolicy) -> timedelta:
    """Exponential with full jitter: between nothing and `first` doubled for every attempt so far, at most `cap`."""
    return _doubled(policy.first, execution.counted, policy.cap) * _jitter(saga, path, execution)


def uncounted_backoff(saga: str, path: str, execution: Execution, cap: timedelta) -> timedelta:
    """After an answer that was no attempt. It doubles with every sending, whatever the policy says: such answers use
    up nothing, so a deploy gap of hours would else fill the history at the pace of the round trip."""
    return _doubled(UNCOUNTED_FIRST, execution.attempt, cap) * (0.5 + _jitter(saga, path, execution) / 2)


def _doubled(first: timedelta, sendings: int, cap: timedelta) -> timedelta:
    doublings = min(max(sendings - 1, 0), 30)
    return cap if first >= cap / 2**doublings else first * 2**doublings


def _jitter(saga: str, path: str, execution: Execution) -> float:
    return jitter(idempotency_key(saga, path, execution.kind, execution.number), execution.attempt)


def next_attempt_at(now: datetime, wait: timedelta, retry_after: timedelta | None) -> datetime:
    """The participant's own `retry-after` is honoured, up to a day."""
    return now + (wait if retry_after is None else max(wait, min(retry_after, RETRY_AFTER_MAX)))


def used_up(execution: Execution, policy: RetryPolicy, next_at: datetime) -> bool:
    """No attempt is left, or the next one would begin after the execution's time."""
    if policy.attempts is not None and execution.counted >= policy.attempts:
        return True
    return execution.within_at is not None and next_at >= execution.within_at


def forgotten(step: Step, current: StepState, execution: Execution, now: datetime) -> bool:
    """It is too late to send this execution again: its own key may be forgotten, or, where nobody knows whether the
    action happened, the key it undoes. The participant would take it that nothing ever happened."""
    if key_forgotten(execution, template_of(step, execution).remembers, now):
        return True
    return execution.undoes_outcome == "unknown" and key_forgotten(current.action, step.command.remembers, now)


def key_forgotten(execution: Execution, remembers: timedelta, now: datetime) -> bool:
    """The participant may purge the key while another attempt under it still travels."""
    return now - execution.issued_at > remembers - ACTION_EXPIRES_AFTER


def in_deploy_gap(execution: Execution) -> bool:
    """Its service answered that it does not know the command. The attempt has ended, and until the next one it is sent
    again now and then all the same: whatever is answered then counts as if it were still open."""
    return execution.waiting is Waiting.BACKOFF and execution.unknown


def reopened(execution: Execution, now: datetime) -> Execution:
    """After a deploy gap that ends before the next attempt: it is an attempt after all, and the time until the next one
    is given back."""
    unused = timedelta(0) if execution.wake_at is None else execution.wake_at - now
    return msgspec.structs.replace(
        execution,
        counted=execution.counted + 1,
        clock_at=now,
        within_at=None if execution.within_at is None else execution.within_at - unused,
    )


def reason_of(why: str, message: str) -> str:
    """Why an attempt brought nothing, for people: the word, and what the participant said with it."""
    return f"{why}: {message[:WHY_CHARACTERS_MAX]}" if message else why
