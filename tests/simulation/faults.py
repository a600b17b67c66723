"""What can go wrong in one run: every class of fault has its own rate, drawn for each run, off in 40 % of them."""

from enum import StrEnum
from random import Random

import msgspec

SWARM = 0.6
"""Chance that a class of faults is on at all: a fault that is always on hides what needs its absence."""


class Regime(StrEnum):
    """The climate of a run; it narrows what is drawn."""

    MIXED = "mixed"
    FAULT_FREE = "fault-free"
    DUPLICATE_STORM = "duplicate-storm"
    NO_DEADLINE = "no-deadline"
    """Attempts never time out and the broker loses nothing: no retry may mask a lost step."""
    DEAD_SERVICE = "dead-service"
    SLOW = "slow"
    AGES = "ages"
    """Days instead of seconds: expiry and forgetting come into reach."""
    WIPED = "wiped"
    WITHIN_BUDGET = "within-budget"
    """Nobody refuses, nobody cancels, and everything heals in time: compensation would be spurious."""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are chances for each occasion; durations are seconds of virtual time."""

    regime: Regime = Regime.MIXED
    heal_after_seconds: float = 0.0
    # broker
    publish_lost: float = 0.0
    confirm_lost: float = 0.0
    confirm_late: float = 0.0
    duplicate: float = 0.0
    redeliver: float = 0.0
    delay_seconds: float = 0.02
    long_delay: float = 0.0
    queue_missing: float = 0.0
    wipe: float = 0.0
    forge: float = 0.0
    other_bytes: float = 0.0
    # store
    row_locked: float = 0.0
    commit_fails: float = 0.0
    commit_unknown: float = 0.0
    # orchestrators
    crash: float = 0.0
    zombie: float = 0.0
    blind_cache: float = 0.0
    skew_seconds: float = 0.0
    # participants
    participant_crash: float = 0.0
    refuse: float = 0.0
    transient: float = 0.0
    undo_refuse: float = 0.0
    cannot_tell: float = 0.0
    slow_handler: float = 0.0
    service_away: float = 0.0
    old_service: float = 0.0
    bad_reply: float = 0.0
    # people
    cancel: float = 0.0
    pause: float = 0.0
    long_pause: float = 0.0
    abandon: float = 0.0
    operator_absent: float = 0.0
    start_again: float = 0.0


def draw(random: Random) -> Faults:
    """The faults of one run."""
    regime = random.choices(list(Regime), weights=(61, 3, 6, 7, 4, 4, 6, 5, 4))[0]
    return DRAWS[regime](random)


def _rate(random: Random, most: float) -> float:
    return random.random() * most if random.random() < SWARM else 0.0


def _mixed(random: Random) -> Faults:
    return Faults(
        regime=Regime.MIXED,
        heal_after_seconds=random.choice((10.0, 40.0, 120.0, 600.0)),
        publish_lost=_rate(random, 0.25),
        confirm_lost=_rate(random, 0.25),
        confirm_late=_rate(random, 0.3),
        duplicate=_rate(random, 0.3),
        redeliver=_rate(random, 0.2),
        delay_seconds=random.choice((0.02, 0.5, 8.0, 40.0)),
        long_delay=_rate(random, 0.08),
        queue_missing=_rate(random, 0.5),
        wipe=_rate(random, 0.3),
        forge=_rate(random, 0.2),
        other_bytes=_rate(random, 0.1),
        row_locked=_rate(random, 0.15),
        commit_fails=_rate(random, 0.1),
        commit_unknown=_rate(random, 0.2),
        crash=_rate(random, 0.04),
        zombie=_rate(random, 0.15),
        blind_cache=_rate(random, 1.0),
        skew_seconds=_rate(random, 300.0),
        participant_crash=_rate(random, 0.15),
        **_behaviour(random),
        **_people(random),
    )


def _behaviour(random: Random) -> dict[str, float]:
    return {
        "refuse": _rate(random, 0.5),
        "transient": _rate(random, 0.3),
        "undo_refuse": _rate(random, 0.2),
        "cannot_tell": _rate(random, 0.3),
        "slow_handler": _rate(random, 0.3),
        "service_away": _rate(random, 0.3),
        "old_service": _rate(random, 0.2),
        "bad_reply": _rate(random, 0.05),
    }


def _people(random: Random) -> dict[str, float]:
    return {
        "cancel": _rate(random, 0.5),
        "pause": _rate(random, 0.3),
        "long_pause": _rate(random, 0.5),
        "abandon": _rate(random, 0.05),
        "operator_absent": float(random.random() < 0.1),
        "start_again": _rate(random, 0.6),
    }


def _fault_free(_random: Random) -> Faults:
    return Faults(regime=Regime.FAULT_FREE)


def _storm(random: Random) -> Faults:
    return Faults(
        regime=Regime.DUPLICATE_STORM,
        heal_after_seconds=30.0,
        duplicate=0.8,
        redeliver=0.3,
        delay_seconds=random.choice((0.5, 20.0)),
        **_behaviour(random),
        **_people(random),
    )


def _no_deadline(random: Random) -> Faults:
    return Faults(
        regime=Regime.NO_DEADLINE,
        heal_after_seconds=random.choice((5.0, 60.0)),
        duplicate=_rate(random, 0.2),
        delay_seconds=random.choice((0.02, 2.0)),
        row_locked=_rate(random, 0.2),
        commit_fails=_rate(random, 0.2),
        commit_unknown=_rate(random, 0.3),
        crash=random.random() * 0.1,
        zombie=_rate(random, 0.2),
        blind_cache=_rate(random, 1.0),
        participant_crash=_rate(random, 0.2),
        refuse=_rate(random, 0.4),
    )


def _dead_service(random: Random) -> Faults:
    return msgspec.structs.replace(_mixed(random), regime=Regime.DEAD_SERVICE, wipe=0.0, long_pause=0.0)


def _slow(random: Random) -> Faults:
    return msgspec.structs.replace(
        _mixed(random), regime=Regime.SLOW, delay_seconds=90.0, slow_handler=0.5, heal_after_seconds=600.0
    )


def _ages(random: Random) -> Faults:
    return msgspec.structs.replace(
        _mixed(random),
        regime=Regime.AGES,
        heal_after_seconds=random.choice((2, 12, 40)) * 86_400.0,
        delay_seconds=random.choice((0.02, 40_000.0)),
        long_delay=random.random() * 0.4,
        queue_missing=0.0,
        crash=0.0,
        participant_crash=_rate(random, 0.4),
        old_service=_rate(random, 0.3),
    )


def _wiped(random: Random) -> Faults:
    return msgspec.structs.replace(_mixed(random), regime=Regime.WIPED, wipe=1.0)


def _within_budget(random: Random) -> Faults:
    return msgspec.structs.replace(
        _mixed(random),
        regime=Regime.WITHIN_BUDGET,
        heal_after_seconds=120.0,
        delay_seconds=random.choice((0.02, 2.0)),
        long_delay=0.0,
        refuse=0.0,
        transient=0.0,
        cannot_tell=0.0,
        bad_reply=0.0,
        cancel=0.0,
        long_pause=0.0,
        abandon=0.0,
        operator_absent=0.0,
        skew_seconds=0.0,
        blind_cache=0.0,
    )


DRAWS = {
    Regime.MIXED: _mixed,
    Regime.FAULT_FREE: _fault_free,
    Regime.DUPLICATE_STORM: _storm,
    Regime.NO_DEADLINE: _no_deadline,
    Regime.DEAD_SERVICE: _dead_service,
    Regime.SLOW: _slow,
    Regime.AGES: _ages,
    Regime.WIPED: _wiped,
    Regime.WITHIN_BUDGET: _within_budget,
}


def healed(faults: Faults) -> Faults:
    """What is left after the safety phase: participants keep their business, nothing else goes wrong."""
    return Faults(regime=faults.regime, refuse=faults.refuse, operator_absent=faults.operator_absent)
