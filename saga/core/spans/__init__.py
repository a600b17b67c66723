"""A saga's trace, made from its recorded events alone: the same history gives the same spans, whoever asks and when.

Theory of operation
===================
The trace id is the root saga's id. A span's id is a hash of (saga, version, index, role) of the event that opens it,
so two processes, a crash between export and checkpoint, and a rebuild years later all give the same ids; the id of an
attempt is known when its command is sent, and travels in `traceparent`.

    <saga> started                  zero length, the root of the tree: exported at once, everyone's parent
    ├── <saga>                      the whole saga, exported when it has ended
    ├── <step>                      one execution: from being issued until it is settled or given up
    │   ├── send <destination>      one attempt; the participant's own span is its child
    │   │   ├── undelivered         while it had not reached a queue
    │   │   ├── queue wait          all its time but the handler's: both queues, and the way
    │   │   └── handler             as long as the participant said, up to the commit of its answer
    │   ├── backoff                 between two attempts
    │   └── parked                  in front of an operator
    ├── undo <step>                 one compensation: the same inside, linked to the execution it undoes
    ├── paused
    └── operator …, cancel …        zero length: what people did, late answers, why it compensates

Ranges nest from the step downwards. Events of different processes may carry times a little out of order: a span never
begins before what was recorded before it, so time is the latest seen so far.

An event that no function here knows makes no span.
"""

from collections.abc import Iterable, Sequence

from saga.core import events as e
from saga.core.plan import Plan
from saga.core.spans.data import Link as Link
from saga.core.spans.data import Span as Span
from saga.core.spans.data import SpanKind as SpanKind
from saga.core.spans.executions import answered, dispatched, issued, repeated
from saga.core.spans.ledger import Ledger, Trace
from saga.core.spans.life import ended, started, turned
from saga.core.spans.people import asked, parked, paused, released

__all__ = ["Link", "Span", "SpanKind", "Trace", "rebuild", "trace_commit"]


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
            return
