"""Tries one rule after the other and says how each fared."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from saga.conform import keys, poison, undoing
from saga.conform.report import Broken, Finding, Verdict, seen
from saga.conform.rules import BY_NAME, EVERY_REPLY, RULES
from saga.conform.talk import Restart, Talk
from saga.conform.target import Target, checked
from saga.ports import Bus, Clock, Ids

Check = Callable[[Talk], Awaitable[None]]
Progress = Callable[[Finding], None]


class Trial(msgspec.Struct, frozen=True):
    """How a rule is tried, and what that takes."""

    check: Check
    takes: tuple[str, ...] = ()
    """`inbox`, `undo`, `declined`, `restart`."""


TRIALS: Final = {
    "answers": Trial(keys.answers),
    "same-attempt": Trial(keys.same_attempt, ("inbox",)),
    "next-attempt": Trial(keys.next_attempt, ("inbox",)),
    "other-bytes": Trial(keys.other_bytes, ("inbox",)),
    "bytes-as-sent": Trial(keys.bytes_as_sent, ("inbox",)),
    "other-command": Trial(keys.other_command, ("inbox", "undo")),
    "at-once": Trial(keys.at_once, ("inbox",)),
    "expired-known": Trial(keys.expired_known, ("inbox",)),
    "expired-unknown": Trial(keys.expired_unknown),
    "refused-forgotten": Trial(keys.refused_forgotten),
    "failed": Trial(keys.failed, ("declined",)),
    "failed-remembered": Trial(keys.failed_remembered, ("inbox", "declined")),
    "unknown-command": Trial(keys.unknown_command),
    "not-json": Trial(poison.not_json),
    "bad-utf8": Trial(poison.bad_utf8),
    "nul": Trial(poison.nul),
    "wrong-shape": Trial(poison.wrong_shape),
    "missing-headers": Trial(poison.missing_headers),
    "alive": Trial(poison.alive),
    "undo": Trial(undoing.undo, ("undo",)),
    "undo-again": Trial(undoing.undo_again, ("undo",)),
    "undo-first": Trial(undoing.undo_first, ("undo",)),
    "late-action": Trial(undoing.late_action, ("undo",)),
    "undo-forgotten": Trial(undoing.undo_forgotten, ("undo",)),
    "undo-failed": Trial(undoing.undo_failed, ("undo", "declined")),
    "undo-race": Trial(undoing.undo_race, ("undo",)),
    "restart": Trial(keys.restart, ("inbox", "restart")),
}
LACKING: Final = {
    "inbox": "it is read_only and keeps no inbox",
    "undo": "no undo was given",
    "declined": "no body was given that is to be declined",
    "restart": "no way was given to restart it",
}


async def conform(
    bus: Bus,
    target: Target,
    *,
    clock: Clock,
    ids: Ids,
    restart: Restart | None = None,
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """One finding for each of RULES, in their order. `progress` hears each as it is found.

    The bus is an orchestrator's, on a vhost where no orchestrator runs: it would take the replies. The participant's
    effects are real. Raises TargetError; Unavailable when broker or queues are missing.
    """
    checked(target)
    findings: dict[str, Finding] = {}
    have = _given(target, restart)
    async with Talk(bus, target, clock=clock, ids=ids, restart=restart) as talk:
        for name, trial in TRIALS.items():
            lacking = [LACKING[thing] for thing in trial.takes if thing not in have]
            works = name == "answers" or findings["answers"].verdict is Verdict.KEPT
            if lacking or not works:
                reason = lacking[0] if lacking else "it does not answer the command, see `answers`"
                findings[name] = Finding(BY_NAME[name], Verdict.UNTRIED, reason)
            else:
                findings[name] = await _tried(name, trial, talk)
            if progress is not None:
                progress(findings[name])
    findings |= {name: _of_every_reply(name, talk) for name in EVERY_REPLY}
    return tuple(findings[rule.name] for rule in RULES)


async def _tried(name: str, trial: Trial, talk: Talk) -> Finding:
    try:
        await trial.check(talk)
    except Broken as broken:
        return Finding(BY_NAME[name], Verdict.BROKEN, broken.reason, tuple(map(seen, broken.received)))
    return Finding(BY_NAME[name], Verdict.KEPT)


def _of_every_reply(name: str, talk: Talk) -> Finding:
    if not talk.sorting.replies_count:
        return Finding(BY_NAME[name], Verdict.UNTRIED, "there was no reply to look at")
    if name in talk.sorting.violations:
        reason, reply = talk.sorting.violations[name]
        return Finding(BY_NAME[name], Verdict.BROKEN, reason, (seen(reply),))
    return Finding(BY_NAME[name], Verdict.KEPT)


def _given(target: Target, restart: Restart | None) -> set[str]:
    given = {
        "inbox": not target.read_only,
        "undo": target.undo is not None and not target.read_only,
        "declined": target.declined_body is not None,
        "restart": restart is not None,
    }
    return {name for name, there in given.items() if there}
