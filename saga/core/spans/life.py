"""Spans of the saga as a whole: its beginning, its turns and its end."""

from typing import Final, assert_never

import msgspec

from saga.core import events as e
from saga.core.identity import anchor_id, trace_id
from saga.core.messages import Kind
from saga.core.spans import data as d
from saga.core.spans.data import Attributes, Link
from saga.core.spans.executions import close_all, give_up_parked, give_up_waiting
from saga.core.spans.ledger import SAGA, Ledger, Open, Trace

FOR_THE_PARENT: Final = frozenset({"parent", "cancelled"})
"""Why a sub-saga compensates when its parent asked: it had completed, or was running."""


def started(ledger: Ledger, event: e.SagaStarted) -> None:
    """The anchor, complete at once, and the saga's own span."""
    attributes: Attributes = (
        (d.SAGA_ID, event.saga),
        (d.SAGA_NAME, event.name),
        (d.SAGA_VERSION, event.definition_version),
    )
    if event.untraced:
        attributes += ((d.SAGA_REBUILT, True),)
    root, caller = trace_id(event.root), _context(event.traceparent, "started_by")
    ledger.book = Trace(
        saga=event.saga,
        root=root,
        anchor=anchor_id(event.saga),
        untraced=event.untraced,
        attributes=attributes,
        version=1,
        now_ns=ledger.book.now_ns,
        open={},
        runs={},
        executions={},
    )
    # Only a saga that was started by a step of ours begins inside its own trace; a caller's trace is another one.
    inside = caller is not None and caller.trace == root
    anchor = Open(
        id=ledger.book.anchor,
        parent=caller.span if inside and caller is not None else "",
        name=f"{event.name} started",
        start_ns=ledger.book.now_ns,
        attributes=_described(ledger, event),
        links=() if caller is None or inside else (caller,),
    )
    ledger.write(anchor, anchor.start_ns)
    ledger.begin(SAGA, event.name, ())


def _described(ledger: Ledger, event: e.SagaStarted) -> Attributes:
    if not ledger.texts:
        return ()
    tags = tuple((d.SAGA_TAG + name, d.short(value)) for name, value in sorted(event.tags.items()))
    return ((d.SAGA_KEY, d.short(event.start_key[2:])), *tags)


def _context(traceparent: str | None, kind: str) -> Link | None:
    """Whoever asked. The wire has checked the form."""
    if traceparent is None:
        return None
    _, trace, span, _ = traceparent.split("-")
    return Link(trace, span, kind)


def asked_by_parent(ledger: Ledger, event: e.ParentAsked) -> None:
    """The parent wants it undone: what is undone from here is linked to the attempt that asked."""
    asking = _context(event.traceparent, "asked_by")
    if asking is not None:
        ledger.book = msgspec.structs.replace(ledger.book, undone_for=(asking,))


def turned(ledger: Ledger, event: e.CompensationStarted | e.BlockFailed | e.DeadlinePassed) -> None:
    """From here it goes another way."""
    match event:
        case e.CompensationStarted():
            code = d.word(event.code or event.because)
            ledger.fail(code)
            give_up_waiting(ledger)
            asking = ledger.book.undone_for if event.because in FOR_THE_PARENT else ()
            if SAGA not in ledger.open:  # a child that had completed is undone with its parent
                ledger.begin(SAGA, f"{dict(ledger.book.attributes)[d.SAGA_NAME]} undone", (), links=asking)
            parked = [place for place in ledger.open if place[0] == "parked" and place[2] == Kind.ACTION]
            give_up_parked(ledger, [place[1] for place in parked])
            attributes: Attributes = ((d.SAGA_BECAUSE, d.word(event.because)), (d.OUTCOME, code))
            if event.path:
                attributes += ((d.STEP_NAME, event.path),)
            if ledger.texts and event.message:
                attributes += ((d.SAGA_MESSAGE, d.short(event.message)),)
            links = asking + ledger.about(event.path, Kind.ACTION)
            ledger.moment("turn", "compensation started", attributes, links=links)
        case e.BlockFailed():
            give_up_waiting(ledger, event.path)
            give_up_parked(ledger, event.released)
            attributes = ((d.STEP_NAME, event.step), (d.OUTCOME, d.word(event.code)))
            links = ledger.about(event.step, Kind.ACTION)
            ledger.moment("turn", f"{event.path} takes the other way", attributes, links=links)
        case e.DeadlinePassed():
            ledger.moment("turn", "deadline passed", ())
        case _:
            assert_never(event)


def ended(ledger: Ledger, event: e.SagaCompleted | e.SagaCompensated | e.SagaAbandoned) -> None:
    """Whatever is open ends with the saga."""
    close_all(ledger)
    cost = d.costs(ledger.book.cost)
    match event:
        case e.SagaCompleted():
            ledger.end(SAGA, ((d.SAGA_STATUS, "completed"), *cost))
        case e.SagaCompensated():
            because = ledger.book.because
            attributes: Attributes = ((d.SAGA_STATUS, "compensated"), (d.SAGA_BECAUSE, because))
            ledger.end(SAGA, (*attributes, (d.ERROR_TYPE, because), *cost), error=because)
        case e.SagaAbandoned():
            ledger.fail()
            about = acted(ledger, event.actor, event.reason)
            ledger.moment("operator", "operator abandon", about)
            attributes = ((d.SAGA_STATUS, "abandoned"), (d.ERROR_TYPE, "abandoned"), *cost)
            ledger.end(SAGA, attributes, error="abandoned")
        case _:
            assert_never(event)


def acted(ledger: Ledger, actor: str | None, reason: str) -> Attributes:
    """Who did something, and why if texts are wanted."""
    who: Attributes = () if not actor else ((d.ACTOR, d.short(actor)),)
    return (*who, (d.SAGA_REASON, d.short(reason))) if ledger.texts and reason else who
