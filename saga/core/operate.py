"""What people may do to a saga: cancel, abandon, pause, resume, and move a parked step."""

import msgspec

from saga.contract import Effect
from saga.core import events as e
from saga.core.address import template
from saga.core.advance import OUTPUT, stop_is_due
from saga.core.blocks import Step, StepKind
from saga.core.compensation import is_about_the_action, is_being_undone, next_number
from saga.core.due import park_forgotten
from saga.core.inputs import Abandon, Cancel, Pause, Resolve, Resume, Verdict
from saga.core.messages import Kind, Outcome
from saga.core.plan import Plan, pivot_passed, pivot_undecided
from saga.core.reads import check_reads
from saga.core.retry import forgotten, key_forgotten
from saga.core.state import Execution, Parked, Phase, SagaState, StepState, Waiting
from saga.core.walk import issue

NOT_APPLIED = "not-applied"
"""Code of an execution that, as an operator saw, did not happen."""


def on_cancel(plan: Plan, state: SagaState, given: Cancel) -> tuple[e.AnyEvent, ...]:
    """The first cancel counts. Undecided pivot: it takes effect if the pivot fails; passed: too late."""
    if state.cancel is not None or state.phase is Phase.COMPENSATING:
        return ()
    takes_effect = "now"
    if pivot_passed(plan, state):
        takes_effect = "too-late"
    elif pivot_undecided(plan, state):
        takes_effect = "if-pivot-fails"
    return (
        e.CancelRequested(
            at=given.now,
            request=given.request,
            by=given.by,
            actor=given.actor,
            reason=given.reason,
            takes_effect=takes_effect,
        ),
    )


def on_abandon(plan: Plan, state: SagaState, given: Abandon) -> tuple[e.AnyEvent, ...]:
    """Close, listing every effect that stands or may stand."""
    return (e.SagaAbandoned(at=given.now, actor=given.actor, reason=given.reason, unresolved=unresolved(plan, state)),)


def unresolved(plan: Plan, state: SagaState) -> tuple[str, ...]:
    """Steps whose effects stand or may stand: issued, not definitely failed, not undone, not only reading."""
    return tuple(
        path
        for path, step in state.steps.items()
        if plan.step(path).kind is not StepKind.READ and step.action.outcome is not Outcome.FAILED and not step.undone
    )


def on_pause(state: SagaState, given: Pause) -> tuple[e.AnyEvent, ...]:
    """Pausing a paused saga changes nothing."""
    if state.paused_at is not None:
        return ()
    return (e.SagaPaused(at=given.now, actor=given.actor, reason=given.reason),)


def on_resume(plan: Plan, state: SagaState, given: Resume) -> tuple[e.AnyEvent, ...]:
    """Resuming a saga that is not paused changes nothing."""
    if state.paused_at is None:
        return ()
    resumed = e.SagaResumed(at=given.now, actor=given.actor, reason=given.reason)
    # What was on the wire is sent again now. An action carries its expiry; a compensation that comes too late for the
    # participant's memory would be carried out twice, or find nothing.
    late = [
        park_forgotten(plan.step(path), current.undo, given.now)
        for path, current in state.steps.items()
        if current.undo is not None
        and current.undo.waiting in (Waiting.REPLY, Waiting.DELIVERY)
        and forgotten(plan.step(path), current, current.undo, given.now)
    ]
    return (resumed, *late)


def objection(plan: Plan, state: SagaState, given: Resolve) -> str | None:
    """Why this verdict cannot be given now, for the operator to read; None when it can."""
    parked = state.parked.get(given.path)
    if parked is None:
        return f"{given.path} is not parked; parked are: {', '.join(state.parked) or 'none'}"
    current = state.steps.get(given.path)
    step = None if current is None else plan.step(given.path)
    if given.verdict in (Verdict.APPLIED, Verdict.NOT_APPLIED) and not given.evidence.strip():
        return f"{given.verdict} needs evidence: what was looked at, and what it showed"
    if step is None or current is None:
        return None if given.verdict is Verdict.RETRY else f"{given.path} was not issued yet: only retry fits"
    if parked.kind is Kind.COMPENSATION and not is_about_the_action(parked, current):
        return _undo_objection(step, current, given)
    return _action_objection(plan, state, step, current, given)


def _undo_objection(step: Step, current: StepState, given: Resolve) -> str | None:
    undo = current.undo
    unknown = undo is not None and is_being_undone(current) and undo.outcome is None
    match given.verdict:
        case Verdict.RETRY if unknown and undo is not None and forgotten(step, current, undo, given.now):
            return f"the key of the undo of {step.path} may be forgotten by now: say applied or not-applied"
        case Verdict.NOT_APPLIED if not unknown:
            return f"the undo of {step.path} is not in doubt: retry it, or say applied"
        case Verdict.UNDO:
            return "a compensation takes retry, applied or not-applied"
        case _:
            return None


def _action_objection(plan: Plan, state: SagaState, step: Step, current: StepState, given: Resolve) -> str | None:
    match given.verdict:
        case Verdict.RETRY:
            return _retry_objection(step, current.action, state.parked[step.path], given)
        case Verdict.APPLIED:
            if current.action.outcome is Outcome.FAILED:
                return f"{step.path} definitely failed: retry it"
            mismatch = check_reads(plan.definition.reads, template(step.path), given.reply or b"null")
            return None if mismatch is None else f"later steps read its reply, so give one that fits: {mismatch}"
        case Verdict.NOT_APPLIED:
            return None if current.action.outcome is None else f"{step.path} has a definite outcome already"
        case Verdict.UNDO:
            parked = state.parked[step.path]
            if parked.kind is Kind.COMPENSATION:
                return f"{step.command.service} cannot tell whether {step.path} happened: say applied or not-applied"
            if pivot_undecided(plan, state) or pivot_passed(plan, state):
                return "nothing is undone once the pivot was issued"
            return None


def _retry_objection(step: Step, action: Execution, parked: Parked, given: Resolve) -> str | None:
    if parked.kind is Kind.COMPENSATION:
        return f"{step.path} is to be undone, not repeated: say applied or not-applied"
    if action.outcome is Outcome.OK:
        return f"{step.path} answered ok: say applied, with a reply that fits, or undo"
    in_doubt = parked.code is e.ParkCode.IN_DOUBT and step.command.effect is Effect.AT_MOST_ONCE
    if action.outcome is None and in_doubt:
        return f"{step.path} is at_most_once and in doubt: say applied, not-applied or undo"
    if action.outcome is None and key_forgotten(action, step.command.remembers, given.now):
        return f"the key of {step.path} may be forgotten, so a retry may do it twice: say applied, not-applied or undo"
    return None


def on_resolve(plan: Plan, state: SagaState, given: Resolve) -> tuple[e.AnyEvent, ...]:
    """Move a parked step; () when there is an `objection`."""
    if objection(plan, state, given) is not None:
        return ()
    parked = state.parked[given.path]
    released = e.StepReleased(
        at=given.now,
        path=given.path,
        kind=parked.kind,
        verdict=given.verdict,
        actor=given.actor,
        reason=given.reason,
        evidence=given.evidence,
    )
    current = state.steps.get(given.path)
    if current is None or given.path == OUTPUT:
        return (released,)
    step = plan.step(given.path)
    if parked.kind is Kind.ACTION:
        return (released, *_move_action(plan, state, step, given))
    if is_about_the_action(parked, current):
        return (released, *_settle_doubt(step, current.action, given))
    return (released, *_move_undo(step, current, given))


def _move_undo(step: Step, current: StepState, given: Resolve) -> tuple[e.AnyEvent, ...]:
    undo = current.undo
    if given.verdict is Verdict.APPLIED:
        number = next_number(current, Kind.COMPENSATION) - 1
        return (
            e.CompensationSucceeded(
                at=given.now, path=step.path, execution=number, actor=given.actor, evidence=given.evidence
            ),
        )
    if undo is None or undo.outcome is not None or not is_being_undone(current):
        return ()  # never built, or definitely failed: `advance` issues the next execution
    if given.verdict is Verdict.NOT_APPLIED:
        return (e.CompensationFailed(at=given.now, path=step.path, execution=undo.number, code=NOT_APPLIED),)
    return (_repeat(step, undo, given),)


def _move_action(plan: Plan, state: SagaState, step: Step, given: Resolve) -> tuple[e.AnyEvent, ...]:
    """Going forward."""
    current = state.steps[step.path]
    again = issue(plan, state, step, next_number(current, Kind.ACTION), given.now)
    match given.verdict:
        case Verdict.RETRY if current.action.outcome is None:
            return (_repeat(step, current.action, given),)
        case Verdict.RETRY:
            return again
        case Verdict.NOT_APPLIED if not stop_is_due(plan, state):
            return (*_settle_doubt(step, current.action, given), *again)
        case Verdict.UNDO:
            return (e.CompensationStarted(at=given.now, because="operator", path=step.path, message=given.reason),)
        case _:
            return _settle_doubt(step, current.action, given)


def _settle_doubt(step: Step, action: Execution, given: Resolve) -> tuple[e.AnyEvent, ...]:
    """What the operator says of an action; `undo` says nothing of it, and the release itself is remembered."""
    match given.verdict:
        case Verdict.APPLIED:
            return (
                e.StepSucceeded(
                    at=given.now,
                    path=step.path,
                    execution=action.number,
                    reply=msgspec.Raw(given.reply or b"null"),
                    actor=given.actor,
                    evidence=given.evidence,
                ),
            )
        case Verdict.NOT_APPLIED:
            return (
                e.StepFailed(
                    at=given.now,
                    path=step.path,
                    execution=action.number,
                    code=NOT_APPLIED,
                    actor=given.actor,
                    evidence=given.evidence,
                ),
            )
        case _:
            return ()


def _repeat(step: Step, execution: Execution, given: Resolve) -> e.AnyEvent:
    within = step.within if execution.kind is Kind.ACTION else None
    return e.CommandRepeated(
        at=given.now,
        path=step.path,
        kind=execution.kind,
        execution=execution.number,
        attempt=execution.attempt + 1,
        due_at=given.now + step.timeout,
        within_at=None if within is None else given.now + within,
        fresh_budget=True,
    )
