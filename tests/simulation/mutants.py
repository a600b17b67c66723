"""Planted bugs, and how long each lives: a simulator that kills none of them proves nothing by its silence.

A mutant is a patch of the real core or participant rules, or a word that breaks a simulated part. Each must pass worlds
without faults, or it would prove nothing, and must be killed within a bounded number of seeds of the ordinary worlds.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core import compensation
from saga.core import events as e
from saga.core import inputs as i
from saga.core.definition import Step
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode
from saga.core.plan import Plan
from saga.core.state import Execution, Phase, SagaState, Waiting
from saga.participant import rules
from tests.simulation.faults import Faults, Regime
from tests.simulation.hunt import Found, run_one

SEEDS_MOST = 6_000
SMOKE_SEEDS = 60
SLOW = frozenset(
    {
        "B2 expired read as failed",
        "B7 old keys are sent again",
        "ack before commit",
        "alarm left alone by what was read before",
        "late failed overrides ok",
    }
)
"""Only a long run finds these."""


class Mutant(msgspec.Struct, frozen=True):
    """A planted bug."""

    name: str
    plant: Callable[[], AbstractContextManager[None]]
    broken: frozenset[str] = frozenset()

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
        for seed in range(seeds):
            _, found = run_one(seed, faults=Faults(regime=Regime.FAULT_FREE), broken=mutant.broken)
            if found is not None:
                return found
    return None


def kill(mutant: Mutant, seeds: int = SEEDS_MOST) -> Kill:
    """The first seed that sees it."""
    began = time.perf_counter()
    with mutant.plant():
        for seed in range(seeds):
            _, found = run_one(seed, broken=mutant.broken)
            if found is not None:
                return Kill(found, seed + 1, time.perf_counter() - began)
    return Kill(None, seeds, time.perf_counter() - began)


@contextlib.contextmanager
def replaced(**changes: Callable[[Any], Any]) -> Iterator[None]:
    """Replace functions of the core wherever they were imported; each change makes the new one of the old one."""
    undo: list[tuple[object, str, object]] = []
    modules: list[object] = [
        module for name, module in sorted(sys.modules.items()) if name.startswith(("saga.", "tests.simulation"))
    ]
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


def _defines(module: object, name: str) -> bool:
    found = getattr(module, name, None)
    return getattr(found, "__module__", None) == getattr(module, "__name__", "")


def core(name: str, **changes: Callable[[Any], Any]) -> Mutant:
    """A bug in the core or the participant rules."""
    return Mutant(name, lambda: replaced(**changes))


def shell(name: str, word: str) -> Mutant:
    """A bug in a simulated part."""
    return Mutant(name, contextlib.nullcontext, frozenset({word}))


def _epoch_in_key(original: Any) -> Any:
    """B1: every operator's retry gets a new key."""

    def template(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        message: CommandMessage = original(state, step, execution)
        fresh = execution.counted == 1 and execution.attempt > 1
        key = message.key[:-1] + "f" if fresh else message.key
        return msgspec.structs.replace(message, key=key)

    return template


def _attempt_in_key(original: Any) -> Any:
    """B1: the key names the attempt."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return (
            msgspec.structs.replace(made, key=f"{execution.attempt - 1:02x}" + made.key[2:])
            if execution.attempt > 1
            else made
        )

    return message


def _settles_as_failed(matches: Callable[[i.Reply, Execution], bool]) -> Callable[[Any], Any]:
    """An answer about one delivery is taken for the end of the execution."""

    def change(original: Any) -> Any:
        def answer(
            of: Plan, state: SagaState, step: Step, execution: Execution, given: i.Reply
        ) -> tuple[e.AnyEvent, ...]:
            if given.message.kind is Kind.ACTION and execution.outcome is None and matches(given, execution):
                return (e.StepFailed(at=given.now, path=step.path, execution=execution.number, code="Declined"),)
            found: tuple[e.AnyEvent, ...] = original(of, state, step, execution, given)
            return found

        return answer

    return change


def _exhausted_means_no(original: Any) -> Any:
    """B3: attempts are used up, so it did not happen."""

    def exhausted(of: Plan, state: SagaState, step: Step, execution: Execution, **more: Any) -> e.AnyEvent:
        found: e.AnyEvent = original(of, state, step, execution, **more)
        if isinstance(found, e.StepExhausted):
            return e.StepFailed(at=found.at, path=step.path, execution=execution.number, code="exhausted")
        return found

    return exhausted


def _only_completed(original: Any) -> Any:
    """Compensate what answered ok, and nothing else."""

    def targets(state: SagaState, steps: Any) -> list[Step]:
        found: list[Step] = original(state, steps)
        return [step for step in found if state.steps[step.path].action.outcome is Outcome.OK]

    return targets


def _never_undecided(_original: Any) -> Any:
    return lambda _plan, _state: False


def _forward(original: Any) -> Any:
    return lambda state, steps: original(state, steps)[::-1]


def _impatient(original: Any) -> Any:
    """The next undo does not wait for the answer to the one before."""

    def next_undo(state: SagaState, steps: Any, now: datetime) -> tuple[e.AnyEvent, ...] | None:
        left = [s for s in steps if not (s.path in state.steps and compensation.is_being_undone(state.steps[s.path]))]
        found: tuple[e.AnyEvent, ...] | None = original(state, left, now)
        return original(state, steps, now) if found is None else found

    return next_undo


def _late_failed_wins(original: Any) -> Any:
    """A `failed` after an `ok` is believed."""

    def on_reply(of: Plan, state: SagaState, given: i.Reply) -> tuple[e.AnyEvent, ...]:
        message, step = given.message, state.steps.get(given.message.path)
        late = step is not None and message.kind is Kind.ACTION and message.outcome is Outcome.FAILED
        if late and step is not None and step.action.outcome is Outcome.OK and not state.terminal:
            return (e.StepFailed(at=given.now, path=message.path, execution=message.execution, code=message.code),)
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        return found

    return on_reply


def _not_absorbing(original: Any) -> Any:
    """A late success re-opens a compensated saga."""

    def on_reply(of: Plan, state: SagaState, given: i.Reply) -> tuple[e.AnyEvent, ...]:
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        if state.terminal and given.message.outcome is Outcome.OK and given.message.kind is Kind.ACTION and found:
            return (e.SagaCompensated(at=given.now),)
        return found

    return on_reply


def _believes_anybody(original: Any) -> Any:
    """Whoever answers is believed."""

    def screen(of: Plan, state: SagaState, reply: Any) -> Any:
        step = of.steps.get(reply.path)
        if step is None:
            return original(of, state, reply)
        return original(
            of, state, msgspec.structs.replace(reply, sender=step.command.service, service=step.command.service)
        )

    return screen


def _cancel_ignores_pivot(original: Any) -> Any:
    def on_cancel(of: Plan, state: SagaState, given: i.Cancel) -> tuple[e.AnyEvent, ...]:
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        if found and state.phase is Phase.RUNNING:
            return (*found, e.CompensationStarted(at=given.now, because="cancelled"))
        return found

    return on_cancel


def _no_reason(original: Any) -> Any:
    """Waiting for a delivery is no reason to be shown."""

    def wait(step: Step, execution: Execution) -> Any:
        return None if execution.waiting is Waiting.DELIVERY else original(step, execution)

    return wait


def _expiry_before_lookup(original: Any) -> Any:
    """B2: expiry is looked at before the key, and answered as a failure of business."""

    def admit(command: CommandMessage, effect: Effect, row: Any, now: datetime) -> Any:
        if command.expires_at is not None and command.expires_at <= now:
            return rules.Refuse(RefusedCode.EXPIRED, "expired")
        return original(command, effect, row, now)

    return admit


def _retry_renders_again(original: Any) -> Any:
    """The body of a repeat is made anew."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return msgspec.structs.replace(made, body=made.body + b" " * (execution.attempt - 1))

    return message


def _undo_says_unknown(original: Any) -> Any:
    """B7: the undo does not say that the engine had an ok."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return msgspec.structs.replace(made, undoes_outcome="unknown") if made.undoes else made

    return message


def _sends_while_paused(original: Any) -> Any:
    def due_now(of: Plan, state: SagaState, after_version: int = 0) -> Any:
        return original(of, msgspec.structs.replace(state, paused_at=None), after_version)

    return due_now


def _old_doubt_stays(_original: Any) -> Any:
    return lambda _parked, _step: False


MUTANTS: tuple[Mutant, ...] = (
    core("B1 operator's retry in the key", _message=_epoch_in_key),
    core("B1 attempt in the key", _message=_attempt_in_key),
    core("B2 expired read as failed", _delivery_answer=_settles_as_failed(lambda g, _: g.message.code == "expired")),
    core("B3 retry exhausted means not applied", _exhausted=_exhausted_means_no),
    core(
        "B3 retry means not applied", _delivery_answer=_settles_as_failed(lambda g, _: g.message.code == "unavailable")
    ),
    core("B6 compensates over an undecided pivot", pivot_undecided=_never_undecided),
    core("B7 undo does not name the outcome", _message=_undo_says_unknown),
    core("B7 old keys are sent again", key_forgotten=lambda _: lambda *_: False),
    core("compensates completed steps only", undo_targets=_only_completed),
    core("compensates in forward order", undo_targets=_forward),
    core("next undo without acknowledgement", next_undo=_impatient),
    core("terminal phases do not absorb", on_reply=_not_absorbing),
    core("sender is not checked", screen=_believes_anybody),
    core("late failed overrides ok", on_reply=_late_failed_wins),
    core("cancel ignores the pivot", on_cancel=_cancel_ignores_pivot),
    core("wait reason lost", _wait=_no_reason),
    core("a repeat is rendered anew", _message=_retry_renders_again),
    core("sends while paused", outstanding=_sends_while_paused),
    shell("B7 inbox forgets after seconds", "forgets-early"),
    shell("no tombstone", "no-tombstone"),
    shell("no inbox", "no-inbox"),
    shell("failed is not stored", "failed-not-stored"),
    shell("publish before commit", "publish-before-commit"),
    shell("ack before commit", "ack-before-commit"),
    shell("no compare-and-swap", "no-compare-and-swap"),
    shell("unknown commit taken as failure", "unknown-commit-is-failure"),
    shell("no unique start key", "no-unique-start"),
    shell("node clock instead of store time", "raw-clock"),
    shell("an old cache may turn away", "trusts-stale-cache"),
    shell("alarm left alone by what was read before", "stale-wake"),
)
