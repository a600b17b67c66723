"""The bugs themselves: each takes the right function and gives a wrong one."""

from collections.abc import Callable
from datetime import datetime, timedelta
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
from saga.engine.dispatch import Wanted
from saga.participant import rules


def epoch_in_key(original: Any) -> Any:
    """B1: every operator's retry gets a new key."""

    def template(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        message: CommandMessage = original(state, step, execution)
        fresh = execution.counted == 1 and execution.attempt > 1
        key = message.key[:-1] + "f" if fresh else message.key
        return msgspec.structs.replace(message, key=key)

    return template


def attempt_in_key(original: Any) -> Any:
    """B1: the key names the attempt."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return (
            msgspec.structs.replace(made, key=f"{execution.attempt - 1:02x}" + made.key[2:])
            if execution.attempt > 1
            else made
        )

    return message


def settles_as_failed(matches: Callable[[i.Reply, Execution], bool]) -> Callable[[Any], Any]:
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


def exhausted_means_no(original: Any) -> Any:
    """B3: attempts are used up, so it did not happen."""

    def exhausted(of: Plan, state: SagaState, step: Step, execution: Execution, **more: Any) -> e.AnyEvent:
        found: e.AnyEvent = original(of, state, step, execution, **more)
        if isinstance(found, e.StepExhausted):
            return e.StepFailed(at=found.at, path=step.path, execution=execution.number, code="exhausted")
        return found

    return exhausted


def only_completed(original: Any) -> Any:
    """Compensate what answered ok, and nothing else."""

    def needs_undo(step: Step, current: Any) -> bool:
        return original(step, current) and current.action.outcome is Outcome.OK

    return needs_undo


def never_undecided(_original: Any) -> Any:
    return lambda _plan, _state: False


def forward(_original: Any) -> Any:
    return lambda blocks: blocks


def impatient(original: Any) -> Any:
    """The next undo does not wait for the answer to the one before."""

    def next_undo(state: SagaState, blocks: Any, at: Any, now: datetime) -> tuple[e.AnyEvent, ...] | None:
        steps = {
            path: msgspec.structs.replace(step, undone=step.undone or compensation.is_being_undone(step))
            for path, step in state.steps.items()
        }
        found: tuple[e.AnyEvent, ...] | None = original(msgspec.structs.replace(state, steps=steps), blocks, at, now)
        return original(state, blocks, at, now) if found is None else found

    return next_undo


def doubt_changes_the_key(original: Any) -> Any:
    """An undo that was refused in doubt is issued anew instead of repeated."""

    def next_undo(state: SagaState, blocks: Any, at: Any, now: datetime) -> tuple[e.AnyEvent, ...] | None:
        found: tuple[e.AnyEvent, ...] | None = original(state, blocks, at, now)
        if not found or not isinstance(found[0], e.CommandRepeated):
            return found
        path = found[0].path
        step = next(step for step in compensation.standing(state, blocks, at) if step.path == path)
        return (compensation._undo(state, step, state.steps[path], now),)

    return next_undo


def late_failed_wins(original: Any) -> Any:
    """A `failed` after an `ok` is believed."""

    def on_reply(of: Plan, state: SagaState, given: i.Reply) -> tuple[e.AnyEvent, ...]:
        message, step = given.message, state.steps.get(given.message.path)
        late = step is not None and message.kind is Kind.ACTION and message.outcome is Outcome.FAILED
        if late and step is not None and step.action.outcome is Outcome.OK and not state.terminal:
            return (e.StepFailed(at=given.now, path=message.path, execution=message.execution, code=message.code),)
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        return found

    return on_reply


def not_absorbing(original: Any) -> Any:
    """A late success re-opens a compensated saga."""

    def on_reply(of: Plan, state: SagaState, given: i.Reply) -> tuple[e.AnyEvent, ...]:
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        if state.terminal and given.message.outcome is Outcome.OK and given.message.kind is Kind.ACTION and found:
            return (e.SagaCompensated(at=given.now),)
        return found

    return on_reply


def believes_anybody(original: Any) -> Any:
    """Whoever answers is believed."""

    def screen(of: Plan, state: SagaState, reply: Any) -> Any:
        step = of.steps.get(reply.path)
        if step is None:
            return original(of, state, reply)
        return original(
            of, state, msgspec.structs.replace(reply, sender=step.command.service, service=step.command.service)
        )

    return screen


def cancel_ignores_pivot(original: Any) -> Any:
    def on_cancel(of: Plan, state: SagaState, given: i.Cancel) -> tuple[e.AnyEvent, ...]:
        found: tuple[e.AnyEvent, ...] = original(of, state, given)
        if found and state.phase is Phase.RUNNING:
            return (*found, e.CompensationStarted(at=given.now, because="cancelled"))
        return found

    return on_cancel


def no_reason(original: Any) -> Any:
    """Waiting for a delivery is no reason to be shown."""

    def wait(step: Step, execution: Execution) -> Any:
        return None if execution.waiting is Waiting.DELIVERY else original(step, execution)

    return wait


def expiry_before_lookup(original: Any) -> Any:
    """B2: expiry is looked at before the key, and answered as a failure of business."""

    def admit(command: CommandMessage, effect: Effect, row: Any, now: datetime) -> Any:
        if command.expires_at is not None and command.expires_at <= now:
            return rules.Refuse(RefusedCode.EXPIRED, "expired")
        return original(command, effect, row, now)

    return admit


def retry_renders_again(original: Any) -> Any:
    """The body of a repeat is made anew."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return msgspec.structs.replace(made, body=made.body + b" " * (execution.attempt - 1))

    return message


def undo_says_unknown(original: Any) -> Any:
    """B7: the undo does not say that the engine had an ok."""

    def message(state: SagaState, step: Step, execution: Execution) -> CommandMessage:
        made: CommandMessage = original(state, step, execution)
        return msgspec.structs.replace(made, undoes_outcome="unknown") if made.undoes else made

    return message


def sends_while_paused(original: Any) -> Any:
    def due_now(of: Plan, state: SagaState, after_version: int = 0) -> Any:
        return original(of, msgspec.structs.replace(state, paused_at=None), after_version)

    return due_now


def pause_proves_all(original: Any) -> Any:
    """Nothing is asked for in a pause, so nothing is taken to be in doubt."""

    def wanted(of: Plan, state: SagaState, *versions: int, undelivered: bool = False) -> Wanted:
        found: Wanted = original(of, state, *versions, undelivered=undelivered)
        return found if state.paused_at is None else msgspec.structs.replace(found, proven=True)

    return wanted


def old_doubt_stays(_original: Any) -> Any:
    """Nobody can say whether the action happened."""
    return lambda _parked, _step: False


def undoes_the_forgotten(original: Any) -> Any:
    """B7: the undo of an unknown step goes out however long ago it was asked."""

    def undo(state: SagaState, step: Step, current: Any, now: datetime) -> e.AnyEvent:
        young = msgspec.structs.replace(current, action=msgspec.structs.replace(current.action, issued_at=now))
        found: e.AnyEvent = original(state, step, young, now)
        return found

    return undo


def at_once(_original: Any) -> Any:
    """An answer that is no attempt is no reason to wait either."""
    return lambda *_: timedelta(milliseconds=1)


def all_dispatched(original: Any) -> Any:
    """I7: whatever was committed is taken to be on the broker."""
    return lambda of, state, given: original(of, state, msgspec.structs.replace(given, dispatched_version=10**9))


def costs_in_every_fact(_original: Any) -> Any:
    """An answer that leads to two facts is paid for in both."""

    def with_cost(_state: SagaState, _reply: Any, events: tuple[e.AnyEvent, ...], cost: Any) -> tuple[e.AnyEvent, ...]:
        return tuple(
            msgspec.structs.replace(event, cost=cost) if isinstance(event, e.Costly) else event for event in events
        )

    return with_cost


def copies_cost_again(_original: Any) -> Any:
    """Nothing remembers that an answer told its cost."""
    return lambda state, _event: state


def not_moved(_original: Any) -> Any:
    """Resuming moves no deadline."""
    return lambda execution, _paused_at, _now: execution
