"""What committed events count as: a fold of commits into tallies.

Pure but for the tallies it adds to. Labels come from the definition and from closed lists: a code that a participant
chose freely is `other`, and nothing of a payload, a text or an id is looked at. Only the units of costs are a
participant's own words: short, of a fixed alphabet, and few.
"""

from datetime import datetime
from typing import Final

from saga.core import events as e
from saga.core.address import template
from saga.core.definition import DEADLINE, EXHAUSTED, EXPIRED, LIMIT, REJECTED, CommandTemplate
from saga.core.inputs import Verdict
from saga.core.messages import BUSY, Kind, Outcome, RefusedCode, ReplyEffect
from saga.core.metrics import catalogue as m
from saga.core.metrics.shape import OTHER
from saga.core.metrics.tally import Labels, Tallies
from saga.core.plan import Plan
from saga.core.state import Execution, SagaState, Waiting
from saga.cost import Cost

BECAUSE: Final = frozenset({"failed", EXHAUSTED, REJECTED, EXPIRED, DEADLINE, LIMIT, "cancelled", "operator", "parent"})
RETRY_CODES: Final = frozenset({"unavailable", "handler-timeout", "handler-error", "bad-reply", "database-error"})
"""What our participant library says by itself; a handler may say anything."""
REFUSED_CODES: Final = frozenset(code.value for code in RefusedCode)
VERDICTS: Final = frozenset(verdict.value for verdict in Verdict)
TOMBSTONE: Final = "tombstone"
"""Status of a sub-saga that its parent undid before it began."""


def count(
    tallies: Tallies, plan: Plan, before: SagaState | None, after: SagaState, commit: tuple[e.AnyEvent, ...]
) -> None:
    """Count one commit, which led from `before` (None: nothing) to `after`."""
    for event in commit:
        if isinstance(event, e.Costly) and event.cost is not None:
            _cost(tallies, _labels(plan, event.path, e.kind_of(event)), event.cost)
        match event:
            case e.CommandIssued() | e.CommandRepeated():
                _asked(tallies, plan, after, event)
            case e.StepSucceeded() | e.CompensationSucceeded():
                _succeeded(tallies, plan, before, event)
            case e.StepFailed() | e.CompensationFailed():
                _failed(tallies, plan, before, event)
            case _:
                _rarely(tallies, plan, after, event)


def _cost(tallies: Tallies, labels: Labels, cost: Cost) -> None:
    """What an answer told."""
    if not cost:
        tallies.add(m.COST_UNREADABLE, labels)
    for unit, amount in cost.items():
        tallies.add(m.COST, (*labels, tallies.cost_unit(unit)), float(amount))


def _asked(tallies: Tallies, plan: Plan, after: SagaState, event: e.CommandIssued | e.CommandRepeated) -> None:
    step = template(event.path)
    command = _command(plan, after, event.path, event.kind)
    name = OTHER if command is None else command.type_name
    tallies.add(m.ATTEMPTS, (after.name, step, event.kind.value, name))


def _succeeded(
    tallies: Tallies, plan: Plan, before: SagaState | None, event: e.StepSucceeded | e.CompensationSucceeded
) -> None:
    kind = Kind.ACTION if isinstance(event, e.StepSucceeded) else Kind.COMPENSATION
    labels = _labels(plan, event.path, kind)
    if event.effect is ReplyEffect.REPLAYED:
        tallies.add(m.REPLAYED, labels)
    if event.attempt:
        _times(tallies, labels, _execution(before, event.path, kind, event.execution), event, Outcome.OK)


def _failed(tallies: Tallies, plan: Plan, before: SagaState | None, event: e.StepFailed | e.CompensationFailed) -> None:
    kind = Kind.ACTION if isinstance(event, e.StepFailed) else Kind.COMPENSATION
    if isinstance(event, e.StepFailed) and not event.attempt:
        return  # an operator's word
    labels = _labels(plan, event.path, kind)
    command = None if before is None else _command(plan, before, event.path, kind)
    declared = command is not None and event.code in command.failures
    code = event.code if declared or event.code == e.ParkCode.EFFECT_MISSING else OTHER
    tallies.add(m.FAILURES, (*labels, "failed", code))
    _times(tallies, labels, _execution(before, event.path, kind, event.execution), event, Outcome.FAILED)


Answer = e.StepSucceeded | e.CompensationSucceeded | e.StepFailed | e.CompensationFailed


def _times(tallies: Tallies, labels: Labels, execution: Execution | None, event: Answer, outcome: Outcome) -> None:
    """How long the execution took, and where the time of its last attempt went."""
    if execution is not None:
        tallies.observe(m.STEP_DURATION, (*labels, outcome.value), _seconds(execution.issued_at, event.at))
    if isinstance(event, e.CompensationFailed) or event.handler_ms is None:
        return
    worked = event.handler_ms / 1_000
    tallies.observe(m.HANDLER, labels, worked)
    # One that was sent again in a deploy gap has its time of sending from before it.
    current = execution is not None and execution.attempt == event.attempt and execution.waiting is not Waiting.BACKOFF
    if execution is not None and current:
        tallies.observe(m.QUEUE_WAIT, labels, _seconds(execution.sent_at, event.at) - worked)


def _rarely(tallies: Tallies, plan: Plan, after: SagaState, event: e.AnyEvent) -> None:
    """Everything that an ordinary hop is not."""
    match event:
        case e.AttemptEnded() | e.StepExhausted() | e.DispatchDelayed() | e.LateReply() | e.ContradictoryReply():
            _in_vain(tallies, plan, event)
        case e.StepParked() | e.StepReleased():
            _with_people(tallies, plan, event)
        case e.ApprovalRequested():
            tallies.add(m.APPROVALS_REQUESTED, (after.name, template(event.path)))
        case e.ApprovalClosed():
            tallies.add(m.APPROVALS_CLOSED, (after.name, template(event.path), event.how.value))
        case e.SagaStarted():
            tallies.add(m.STARTED, (after.name,))
        case e.CompensationStarted():
            tallies.add(m.COMPENSATING, (after.name, event.because if event.because in BECAUSE else OTHER))
        case e.SagaCompleted() | e.SagaCompensated() | e.SagaAbandoned():
            _ended(tallies, after, event)
        case _:
            return


Vain = e.AttemptEnded | e.StepExhausted | e.DispatchDelayed | e.LateReply | e.ContradictoryReply


def _in_vain(tallies: Tallies, plan: Plan, event: Vain) -> None:
    match event:
        case e.AttemptEnded():
            tallies.add(m.FAILURES, (*_labels(plan, event.path, event.kind), *_class(event.why)))
        case e.StepExhausted():
            tallies.add(m.FAILURES, (*_labels(plan, event.path, Kind.ACTION), EXHAUSTED, ""))
        case e.DispatchDelayed():
            tallies.add(m.FAILURES, (*_labels(plan, event.path, event.kind), "undelivered", ""))
        case e.LateReply():
            tallies.add(m.LATE, _labels(plan, event.path, event.kind))
        case e.ContradictoryReply():
            tallies.add(m.CONTRADICTORY, _labels(plan, event.path, event.kind))


def _class(why: str) -> tuple[str, str]:
    """What kind of failure a reason is, and its code if that is one of a closed list."""
    if why in {"timeout", BUSY}:
        return why, ""
    if why in REFUSED_CODES:
        return "refused", why
    return "retry", why if why in RETRY_CODES else OTHER


def _with_people(tallies: Tallies, plan: Plan, event: e.StepParked | e.StepReleased) -> None:
    labels = _labels(plan, event.path, event.kind)
    if isinstance(event, e.StepReleased):
        tallies.add(m.RELEASED, (*labels, event.verdict if event.verdict in VERDICTS else OTHER))
        return
    tallies.add(m.PARKED, (*labels, event.code.value))
    if event.code is e.ParkCode.EXHAUSTED:
        tallies.add(m.FAILURES, (*labels, EXHAUSTED, ""))


def _ended(tallies: Tallies, after: SagaState, event: e.SagaCompleted | e.SagaCompensated | e.SagaAbandoned) -> None:
    if isinstance(event, e.SagaAbandoned):
        status = TOMBSTONE if event.tombstone else "abandoned"
    else:
        status = "completed" if isinstance(event, e.SagaCompleted) else "compensated"
    if isinstance(event, e.SagaCompensated) and after.compensating_at is not None:
        tallies.observe(m.COMPENSATION_DURATION, (after.name,), _seconds(after.compensating_at, event.at))
    tallies.add(m.ENDED, (after.name, status))
    tallies.observe(m.DURATION, (after.name, status), _seconds(after.started_at, event.at))


def _labels(plan: Plan, path: str, kind: Kind) -> Labels:
    """Definition, step, kind."""
    return plan.definition.name, template(path), kind.value


def _command(plan: Plan, state: SagaState, path: str, kind: Kind) -> CommandTemplate | None:
    step, known = plan.steps.get(template(path)), state.steps.get(path)
    if step is None:
        return None
    if kind is Kind.ACTION:
        return step.command
    unknown = known is not None and known.undo is not None and known.undo.built_for == "unknown"
    return (step.undo_unknown if unknown else None) or step.undo


def _execution(state: SagaState | None, path: str, kind: Kind, number: int) -> Execution | None:
    """The execution as it stood before its answer."""
    known = None if state is None else state.steps.get(path)
    if known is None:
        return None
    found = known.action if kind is Kind.ACTION else known.undo
    return found if found is not None and found.number == number else None


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
