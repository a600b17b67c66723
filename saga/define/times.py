"""How long and how often a step is tried, and whether that adds up."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from saga.core.definition import RetryPolicy, StepKind
from saga.define.blocks import Scope
from saga.define.recorded import Findings
from saga.define.words import TIMEOUT_DEFAULT, WITHIN_DEFAULT, On, Retry

_AFTER = (StepKind.PIVOT, StepKind.RETRYABLE)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often a step is tried, as the author wrote it; and what it is."""

    kind: StepKind
    retry: Retry
    timeout: timedelta
    within: timedelta | None = None
    on_exhausted: On = On.PARK


def comparable(found: Findings, place: str, times: Times) -> Times:
    """The times as they are, or by default where one is of another type than it says."""
    time_of_all = times.within
    timeout = times.timeout if _is_time(found, place, "timeout", times.timeout) else TIMEOUT_DEFAULT
    if time_of_all is not None and not _is_time(found, place, "within", time_of_all):
        time_of_all = None
    retry = _retry(found, place, times.retry)
    return msgspec.structs.replace(times, retry=retry, timeout=timeout, within=time_of_all)


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
    retry = _retry(found, place, retry)
    for reason, fix in _retry_reasons(retry):
        found.bad(place, reason, fix)
    return RetryPolicy(attempts=retry.attempts, first=retry.first, cap=retry.cap)


def _retry(found: Findings, place: str, retry: object) -> Retry:
    if isinstance(retry, Retry):
        return retry
    found.bad(place, f"{retry!r} does not say how it is repeated", "Retry(attempts=...)")
    return Retry()


def _is_time(found: Findings, place: str, word: str, time: object) -> bool:
    if not isinstance(time, timedelta):
        found.bad(place, f"{word}={time!r} has no unit", f"{word}=timedelta(seconds=...)")
    return isinstance(time, timedelta)


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
    attempts: object = retry.attempts
    if attempts is not None and not isinstance(attempts, int):
        yield f"attempts={attempts!r} is no number", "1 or more, or None"
    elif isinstance(attempts, int) and attempts < 1:
        yield f"attempts={attempts}: it would never be sent", "1 or more, or None"
    times: tuple[tuple[str, object], ...] = (("first", retry.first), ("cap", retry.cap))
    without = [(word, time) for word, time in times if not isinstance(time, timedelta)]
    for word, time in without:
        yield f"{word}={time!r} has no unit", f"{word}=timedelta(seconds=...)"
    if without:
        return
    if retry.first <= timedelta(0):
        yield f"first={retry.first}: repeats would not wait", "give a positive time"
    if retry.first > retry.cap:
        yield f"first={retry.first} is longer than cap={retry.cap}", "make cap at least first"
