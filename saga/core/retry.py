"""When to try again, and when to stop."""

from datetime import datetime, timedelta

from saga.core.bounds import ACTION_EXPIRES_AFTER, RETRY_AFTER_MAX
from saga.core.definition import RetryPolicy, Step
from saga.core.identity import idempotency_key, jitter
from saga.core.messages import Kind
from saga.core.state import Execution


def policy_of(step: Step, kind: Kind) -> RetryPolicy:
    """The policy of the step's action or of its compensation."""
    return step.retry if kind is Kind.ACTION else step.undo_retry


def backoff(saga: str, path: str, execution: Execution, policy: RetryPolicy, cap: timedelta | None = None) -> timedelta:
    """Exponential with full jitter: between nothing and `first` doubled for every attempt so far, at most `cap`."""
    longest = policy.cap if cap is None else min(cap, policy.cap)
    doubled = policy.first * (2 ** min(execution.counted - 1, 30)) if policy.first < longest else longest
    key = idempotency_key(saga, path, execution.kind, execution.number)
    return min(doubled, longest) * jitter(key, execution.attempt)


def next_attempt_at(now: datetime, wait: timedelta, retry_after: timedelta | None) -> datetime:
    """The participant's own `retry-after` is honoured, up to a day."""
    return now + (wait if retry_after is None else max(wait, min(retry_after, RETRY_AFTER_MAX)))


def used_up(execution: Execution, policy: RetryPolicy, next_at: datetime) -> bool:
    """No attempt is left, or the next one would begin after the execution's time."""
    if policy.attempts is not None and execution.counted >= policy.attempts:
        return True
    return execution.within_at is not None and next_at >= execution.within_at


def key_forgotten(execution: Execution, remembers: timedelta, now: datetime) -> bool:
    """The participant may purge the key while another attempt under it still travels."""
    return now - execution.issued_at > remembers - ACTION_EXPIRES_AFTER
