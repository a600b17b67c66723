"""Planted bugs, and how long each lives: a simulator that kills none of them proves nothing by its silence.

A mutant is a patch of the real core or participant rules, or a word that breaks a simulated part. Each must pass worlds
without faults, or it would prove nothing, and must be killed within a bounded number of seeds of the ordinary worlds.
"""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random
from typing import Any

import msgspec

from saga.core.walk import Walker
from tests.simulation import planted, planted_structures
from tests.simulation.faults import DRAWS, Faults, Regime
from tests.simulation.hunt import Found, run_one
from tests.simulation.world import STRUCTURED_FROM

SEEDS_MOST = 6_000
SMOKE_SEEDS = 60
SLOW = frozenset(
    {
        "B2 expired read as failed",
        "B7 old keys are sent again",
        "a pause is no time",
        "ack before commit",
        "alarm left alone by what was read before",
        "late failed overrides ok",
        "a child to be cancelled goes on",
        "a click counts after the expiry",
        "what is parked outlives its block",
    }
)
"""Only a long run finds these."""


class Mutant(msgspec.Struct, frozen=True):
    """A planted bug."""

    name: str
    plant: Callable[[], AbstractContextManager[None]]
    broken: frozenset[str] = frozenset()
    regime: Regime | None = None
    """Where to look for it; None: in the ordinary mixture."""
    first: int = 0
    """The first seed to look at."""

    @property
    def quick(self) -> bool:
        """It dies early: short runs check it too."""
        return self.name not in SLOW


class Kill(msgspec.Struct, frozen=True):
    """How a mutant ended."""

    found: Found | None
    worlds: int
    seconds: float


def smoke(mutant: Mutant, seeds: int = SMOKE_SEEDS) -> Found | None:
    """Worlds without a fault, where the bug must stay unseen."""
    with mutant.plant():
        for seed in range(mutant.first, mutant.first + seeds):
            _, found = run_one(seed, faults=Faults(regime=Regime.FAULT_FREE), broken=mutant.broken)
            if found is not None:
                return found
    return None


def kill(mutant: Mutant, seeds: int = SEEDS_MOST) -> Kill:
    """The first seed that sees it."""
    began = time.perf_counter()
    with mutant.plant():
        for seed in range(mutant.first, mutant.first + seeds):
            faults = None if mutant.regime is None else DRAWS[mutant.regime](Random(seed))
            _, found = run_one(seed, faults=faults, broken=mutant.broken)
            if found is not None:
                return Kill(found, seed + 1 - mutant.first, time.perf_counter() - began)
    return Kill(None, seeds, time.perf_counter() - began)


@contextlib.contextmanager
def replaced(**changes: Callable[[Any], Any]) -> Iterator[None]:
    """Replace functions wherever they were imported; each change makes the new one of the old one.

    A name that several modules define is the core's, else the participant's: what else a process has loaded must not
    change which bug is planted.
    """
    undo: list[tuple[object, str, object]] = []
    loaded = [name for name in sys.modules if name.startswith(("saga.", "tests.simulation"))]
    modules: list[object] = [sys.modules[name] for name in sorted(loaded, key=_rank)]
    try:
        for name, change in changes.items():
            original = next(getattr(module, name) for module in modules if _defines(module, name))
            mutated = change(original)
            for module in modules:
                if getattr(module, name, None) is original:
                    undo.append((module, name, original))
                    setattr(module, name, mutated)
        yield
    finally:
        for module, name, original in undo:
            setattr(module, name, original)


def _rank(module: str) -> tuple[bool, bool, str]:
    return not module.startswith("saga.core."), not module.startswith("saga.participant."), module


def _defines(module: object, name: str) -> bool:
    found = getattr(module, name, None)
    return getattr(found, "__module__", None) == getattr(module, "__name__", "")


def core(name: str, regime: Regime | None = None, **changes: Callable[[Any], Any]) -> Mutant:
    """A bug in the core or the participant rules."""
    return Mutant(name, lambda: replaced(**changes), regime=regime)


def structured(name: str, regime: Regime | None = None, **changes: Callable[[Any], Any]) -> Mutant:
    """A bug in what stands around steps."""
    return Mutant(name, lambda: replaced(**changes), regime=regime, first=STRUCTURED_FROM)


def in_module(name: str, module: str, function: str, change: Callable[[Any], Any]) -> Mutant:
    """A bug in a function whose name other modules use as well."""

    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        home = importlib.import_module(module)
        original = getattr(home, function)
        setattr(home, function, change(original))
        try:
            yield
        finally:
            setattr(home, function, original)

    return Mutant(name, plant, first=STRUCTURED_FROM)


def method(name: str, owner: type, function: str, change: Callable[[Any], Any]) -> Mutant:
    """A bug in a method."""

    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        original = getattr(owner, function)
        setattr(owner, function, change(original))
        try:
            yield
        finally:
            setattr(owner, function, original)

    return Mutant(name, plant, first=STRUCTURED_FROM)


def shell(name: str, word: str, regime: Regime | None = None) -> Mutant:
    """A bug in a simulated part."""
    return Mutant(name, contextlib.nullcontext, frozenset({word}), regime)


MUTANTS: tuple[Mutant, ...] = (
    core("B1 operator's retry in the key", _message=planted.epoch_in_key),
    core("B1 attempt in the key", _message=planted.attempt_in_key),
    core(
        "B2 expired read as failed",
        Regime.AGES,
        _delivery_answer=planted.settles_as_failed(lambda g, _: g.message.code == "expired"),
    ),
    core("B3 retry exhausted means not applied", _exhausted=planted.exhausted_means_no),
    core(
        "B3 retry means not applied",
        _delivery_answer=planted.settles_as_failed(lambda g, _: g.message.code == "unavailable"),
    ),
    core("B6 compensates over an undecided pivot", pivot_undecided=planted.never_undecided),
    core("B7 undo does not name the outcome", _message=planted.undo_says_unknown),
    core("B7 old keys are sent again", Regime.AGES, key_forgotten=lambda _: lambda *_: False),
    core("compensates completed steps only", needs_undo=planted.only_completed),
    core("compensates in forward order", last_first=planted.forward),
    core("next undo without acknowledgement", next_undo=planted.impatient),
    core("an undo in doubt changes its key", next_undo=planted.doubt_changes_the_key),
    core("terminal phases do not absorb", on_reply=planted.not_absorbing),
    core("sender is not checked", screen=planted.believes_anybody),
    core("late failed overrides ok", on_reply=planted.late_failed_wins),
    core("cancel ignores the pivot", on_cancel=planted.cancel_ignores_pivot),
    core("wait reason lost", _wait=planted.no_reason),
    core("a repeat is rendered anew", _message=planted.retry_renders_again),
    core("sends while paused", outstanding=planted.sends_while_paused),
    shell("B7 inbox forgets after seconds", "forgets-early"),
    shell("no tombstone", "no-tombstone"),
    shell("no inbox", "no-inbox"),
    core("a doubt is never settled", is_about_the_action=planted.old_doubt_stays),
    core("an unknown step is undone however old", Regime.AGES, _undo=planted.undoes_the_forgotten),
    core("deploy gaps are retried at once", uncounted_backoff=planted.at_once),
    core("what was never sent times out", on_tick=planted.all_dispatched),
    core("a pause is no time", _moved=planted.not_moved),
    shell("failed is not stored", "failed-not-stored"),
    core("an answer costs in every fact", _with_cost=planted.costs_in_every_fact),
    core("copies of an answer cost again", Regime.DUPLICATE_STORM, told_cost=planted.copies_cost_again),
    shell("an answer from memory costs nothing", "cost-not-stored"),
    shell("publish before commit", "publish-before-commit"),
    shell("ack before commit", "ack-before-commit", Regime.NO_DEADLINE),
    shell("no compare-and-swap", "no-compare-and-swap"),
    shell("unknown commit taken as failure", "unknown-commit-is-failure"),
    shell("no unique start key", "no-unique-start"),
    shell("node clock instead of store time", "raw-clock"),
    shell("an old cache may turn away", "trusts-stale-cache", Regime.NO_DEADLINE),
    shell("alarm left alone by what was read before", "stale-wake", Regime.NO_DEADLINE),
    structured("a failed branch is taken for done", together=planted_structures.failed_branch_is_done),
    structured("only one sibling in flight is undone", undo_targets=planted_structures.one_sibling_is_unknown),
    structured("the undo of a map forgets an item", ways=planted_structures.forgets_the_last_item),
    structured("turns are undone forwards", ways=planted_structures.turns_forward),
    structured("one branch of all is enough", parallel=planted_structures.one_branch_is_enough),
    structured("the branches that lost stand", parallel=planted_structures.losers_stand),
    structured("a failure waits for what runs beside it", together=planted_structures.failure_waits),
    structured("a failure waits for nothing", together=planted_structures.failure_stops),
    method("the other way before the undo", Walker, "_undo", planted_structures.other_way_at_once),
    structured("one item more than the window", each=planted_structures.window_open),
    in_module("any number of items", "saga.core.branches", "_check", planted_structures.no_limit),
    structured("a child to be cancelled goes on", on_parent=planted_structures.child_goes_on),
    structured("a child to be awaited is cancelled", on_parent=planted_structures.child_is_cancelled),
    structured("a child is undone when it begins to be", answer=planted_structures.child_answers_early),
    structured("nobody waits for the undo of a child", next_undo=planted_structures.parent_does_not_wait),
    structured("a decision on an older request counts", on_decision=planted_structures.older_request_counts),
    structured("a permit that was edited is not used up", permit=planted_structures.permit_after_edit),
    structured("a click counts after the expiry", on_decision=planted_structures.counts_after_expiry),
    in_module(
        "an expiry counts after the click",
        "saga.core.approvals",
        "waiting",
        planted_structures.expires_after_the_decision,
    ),
    structured("what is parked outlives its block", released_with=planted_structures.releases_nothing),
    structured("a decision after its time counts", _over=planted_structures.click_after_the_end),
    structured("one person is a quorum", on_decision=planted_structures.counts_twice),
    structured("approved whatever was seen", on_decision=planted_structures.whatever_was_seen),
    structured("a permit is not used up", permit=planted_structures.permit_for_ever),
    structured("every copy of a signal counts", on_signal=planted_structures.every_copy_counts),
    structured("the undo of a completed child is only heard", on_parent=planted_structures.only_heard),
    in_module("an undo starts its child", "saga.engine.children", "start", planted_structures.begins_when_undone),
    in_module("a pause does not stop waits", "saga.core.waits", "moved", planted_structures.clock_runs_on),
    in_module("a pause proves what is in doubt", "saga.engine.dispatch", "wanted", planted.pause_proves_all),
    structured("a pause does not stop attempts", _moved=planted.not_moved),
    structured("a pause does not stop the time of a step", _moved=planted_structures.no_time_for_steps),
    structured("a pause does not stop the deadline", _resume=planted_structures.deadline_runs_on),
    in_module("a pause does not stop approvals", "saga.core.requests", "moved", planted_structures.clock_runs_on),
)
