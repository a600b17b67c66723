"""How long and how often a step is tried, and whether that adds up."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from saga.core.definition import RetryPolicy, StepKind
from saga.define.blocks import Scope
from saga.define.recorded import Findings
from saga.define.words import WITHIN_DEFAULT, On, Retry

_AFTER = (StepKind.PIVOT, StepKind.RETRYABLE)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often a step is tried, as the author wrote it; and what it is."""

    kind: StepKind
    retry: Retry
    timeout: timedelta
    within: timedelta | None = None
    on_exhausted: On = On.PARK


def within(found: Findings, name: str, times: Times, scope: Scope, deadline: timedelta) -> timedelta | None:
    """The time of the whole step; None from the pivot on, where nothing gives up."""
    passed = times.kind in _AFTER or scope.pivot_passed() is not None
    caught = scope.catches(On.EXHAUSTED)
    bounded = times.retry.attempts is not None or times.within is not None
    if passed and not (caught and times.kind is StepKind.READ):
        if bounded or times.on_exhausted is not On.PARK:
            reason = "gives up, but from the pivot on there is no way back: it is repeated until it is decided"
            found.bad(name, reason, "remove attempts=, within= and on_exhausted=")
        chosen = None
    elif passed and not bounded:
        chosen = None
    else:
        chosen = times.within or min(WITHIN_DEFAULT, deadline)
    for reason, fix in _time_reasons(times.timeout, chosen, deadline):
        found.bad(name, reason, fix)
    return chosen


def retry_policy(found: Findings, place: str, retry: Retry) -> RetryPolicy:
    """The policy, looked at."""
    for reason, fix in _retry_reasons(retry):
        found.bad(place, reason, fix)
    return RetryPolicy(attempts=retry.attempts, first=retry.first, cap=retry.cap)


def _time_reasons(timeout: timedelta, chosen: timedelta | None, deadline: timedelta) -> Iterator[tuple[str, str]]:
    if timeout <= timedelta(0) or (chosen is not None and chosen <= timedelta(0)):
        yield f"timeout={timeout}, within={chosen}: no time at all", "give positive times"
    if chosen is not None and timeout > chosen:
        reason = f"timeout={timeout} of one attempt is longer than within={chosen} of all attempts"
        yield reason, "shorten timeout= or lengthen within="
    if (chosen or timeout) > deadline:
        reason = f"{'within' if chosen else 'timeout'}={chosen or timeout} is longer than the saga's deadline"
        yield f"{reason} of {deadline}", "shorten it, or lengthen deadline= of define"


def _retry_reasons(retry: Retry) -> Iterator[tuple[str, str]]:
    if retry.attempts is not None and retry.attempts < 1:
        yield f"attempts={retry.attempts}: it would never be sent", "1 or more, or None"
    if retry.first <= timedelta(0):
        yield f"first={retry.first}: repeats would not wait", "give a positive time"
    if retry.first > retry.cap:
        yield f"first={retry.first} is longer than cap={retry.cap}", "make cap at least first"
