"""Spans of waits: for a time, for a signal, for a decision of people; and what ended them."""

from typing import Final, assert_never

from saga.core import events as e
from saga.core.spans import data as d
from saga.core.spans.data import Attributes
from saga.core.spans.executions import give_up_parked, give_up_waiting
from saga.core.spans.ledger import Ledger
from saga.core.spans.life import acted

WAIT: Final = "wait"
APPROVAL: Final = "approval"
SIGNAL_NAME: Final = "saga.signal"
WAIT_FOR: Final = "saga.wait.for"
NUMBER: Final = "saga.approval.number"
QUORUM: Final = "saga.approval.quorum"
CHOICE: Final = "saga.approval.choice"
ASSERTED_BY: Final = "saga.asserted_by"
BLOCK: Final = "saga.block"
ITEMS: Final = "saga.items"


def waited(ledger: Ledger, event: e.WaitStarted | e.WaitEnded | e.SignalConsumed) -> None:
    """A wait begins, or is over. The deadline of a scope runs beside its steps, and shows only if it passed."""
    match event:
        case e.WaitStarted():
            about: Attributes = ((BLOCK, event.path), (WAIT_FOR, event.waits_for.value))
            if event.signal:
                about += ((SIGNAL_NAME, event.signal),)
            if event.waits_for is not e.WaitFor.SCOPE:
                ledger.begin((WAIT, event.path), f"wait {event.path}", about)
        case e.WaitEnded():
            open_ = (WAIT, event.path) in ledger.open
            ledger.end((WAIT, event.path), ((d.OUTCOME, event.how.value),))
            if event.how is e.WaitEnd.ELAPSED and not open_:
                ledger.moment("turn", f"deadline of {event.path} passed", ((BLOCK, event.path),))
        case e.SignalConsumed():
            ledger.end((WAIT, event.path), ((d.OUTCOME, e.WaitEnd.DONE.value),))
        case _:
            assert_never(event)


def heard(ledger: Ledger, event: e.SignalReceived) -> None:
    """A signal came, whether somebody waits for it or not."""
    about: Attributes = ((SIGNAL_NAME, event.signal), *_vouched(event.by), *acted(ledger, event.actor, ""))
    ledger.moment("signal", f"signal {event.signal}", about)


def requested(ledger: Ledger, event: e.ApprovalRequested) -> None:
    """People are asked to decide, from here until the request closes."""
    ledger.end((APPROVAL, event.path), ((d.OUTCOME, "superseded"),))
    about: Attributes = ((BLOCK, event.path), (NUMBER, event.number), (QUORUM, event.quorum))
    if ledger.texts and event.summary:
        about += ((d.SAGA_MESSAGE, d.short(event.summary)),)
    ledger.begin((APPROVAL, event.path), f"approval {event.path}", about)


Deciding = e.ApprovalDecided | e.ApprovalClosed | e.ApprovalEscalated | e.ApprovalReminded


def decided(ledger: Ledger, event: Deciding) -> None:
    """Who decided and how, what came of it, and who was told again."""
    about: Attributes = ((BLOCK, event.path), (NUMBER, event.number))
    request = ledger.open.get((APPROVAL, event.path))
    links = () if request is None else (ledger.link(request.id, "about"),)
    match event:
        case e.ApprovalDecided():
            choice = event.choice.value
            about += ((CHOICE, choice), *acted(ledger, event.approver, event.reason), *_vouched(event.by))
            ledger.moment("decision", f"{choice} {event.path}", about, links=links)
        case e.ApprovalClosed():
            how = event.how.value
            error = "" if event.how is e.Closed.APPROVED else how
            more: Attributes = ((d.OUTCOME, how), *(((d.ERROR_TYPE, error),) if error else ()))
            ledger.end((APPROVAL, event.path), more, error=error)
        case e.ApprovalEscalated():
            ledger.moment("turn", f"{event.path} escalated", about, links=links)
        case e.ApprovalReminded():
            ledger.moment("turn", f"{event.path} reminded", about, links=links)
        case _:
            assert_never(event)


def ways(ledger: Ledger, event: e.BranchChosen | e.MapStarted) -> None:
    """Which way it goes through a block."""
    match event:
        case e.BranchChosen():
            for other in event.others:
                give_up_waiting(ledger, other)
            give_up_parked(ledger, event.released)
            ledger.moment("turn", f"{event.path} takes {event.branch}", ((BLOCK, event.path),))
        case e.MapStarted():
            ledger.moment("turn", f"{event.path} begins", ((BLOCK, event.path), (ITEMS, len(event.items))))
        case _:
            assert_never(event)


def _vouched(by: str | None) -> Attributes:
    return () if not by else ((ASSERTED_BY, d.short(by)),)
