"""From recorded events to spans: commit by commit, or a whole history at once."""

from collections.abc import Iterable, Sequence

from saga.core import events as e
from saga.core.plan import Plan
from saga.core.spans.data import Span
from saga.core.spans.executions import answered, dispatched, issued, repeated
from saga.core.spans.ledger import Ledger, Trace
from saga.core.spans.life import asked_by_parent, ended, started, turned
from saga.core.spans.people import asked, parked, paused, released
from saga.core.spans.waits import decided, heard, requested, waited, ways


def trace_commit(
    plan: Plan, trace: Trace | None, events: Sequence[e.AnyEvent], *, texts: bool = False
) -> tuple[Trace, tuple[Span, ...]]:
    """The trace after one more commit, and the spans that closed with it.

    `trace` is None for the first commit. `texts` lets error texts, reasons, the business key and tags into
    attributes: they may hold what nobody else is to see. Raises ValueError for a history without its beginning.
    """
    ledger = Ledger.after(plan, trace, texts=texts)
    for event in events:
        ledger.turn(event.at)
        if isinstance(event, e.Costly) and event.cost:
            ledger.spend(event.cost)
        _record(ledger, event)
    return ledger.trace(), tuple(ledger.closed)


def rebuild(plan: Plan, commits: Iterable[Sequence[e.AnyEvent]], *, texts: bool = False) -> tuple[Span, ...]:
    """Every span of a history that is closed by now, as `trace_commit` gave them commit by commit."""
    trace: Trace | None = None
    spans: list[Span] = []
    for events in commits:
        trace, closed = trace_commit(plan, trace, events, texts=texts)
        spans += closed
    return tuple(spans)


def _record(ledger: Ledger, event: e.AnyEvent) -> None:  # noqa: C901 - one line a family
    match event:
        case e.SagaStarted():
            started(ledger, event)
        case e.CommandIssued():
            issued(ledger, event)
        case e.CommandRepeated() | e.AttemptEnded() | e.StepExhausted():
            repeated(ledger, event)
        case e.DispatchDelayed() | e.DispatchConfirmed():
            dispatched(ledger, event)
        case (
            e.StepSucceeded()
            | e.StepFailed()
            | e.CompensationSucceeded()
            | e.CompensationFailed()
            | e.LateReply()
            | e.ContradictoryReply()
        ):
            answered(ledger, event)
        case e.StepParked():
            parked(ledger, event)
        case e.StepReleased():
            released(ledger, event)
        case e.SagaPaused() | e.SagaResumed():
            paused(ledger, event)
        case e.CancelRequested():
            asked(ledger, event)
        case e.CompensationStarted() | e.BlockFailed() | e.DeadlinePassed():
            turned(ledger, event)
        case e.SagaCompleted() | e.SagaCompensated() | e.SagaAbandoned():
            ended(ledger, event)
        case _:
            _record_rest(ledger, event)


def _record_rest(ledger: Ledger, event: e.AnyEvent) -> None:
    match event:
        case e.WaitStarted() | e.WaitEnded() | e.SignalConsumed():
            waited(ledger, event)
        case e.SignalReceived():
            heard(ledger, event)
        case e.ApprovalRequested():
            requested(ledger, event)
        case e.ApprovalDecided() | e.ApprovalClosed() | e.ApprovalEscalated() | e.ApprovalReminded():
            decided(ledger, event)
        case e.BranchChosen() | e.MapStarted():
            ways(ledger, event)
        case e.ParentAsked():
            asked_by_parent(ledger, event)
        case _:
            return
