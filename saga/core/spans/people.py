"""Spans of what people did, and of the time something stood in front of them."""

from typing import assert_never

from saga.core import events as e
from saga.core.messages import Kind
from saga.core.spans import data as d
from saga.core.spans.data import Attributes
from saga.core.spans.executions import end_attempt
from saga.core.spans.ledger import PAUSED, Ledger
from saga.core.spans.life import acted


def parked(ledger: Ledger, event: e.StepParked) -> None:
    """The step waits for a person, from here until it is released or moves by itself."""
    ledger.fail()
    code = event.code.value
    end_attempt(ledger, event.path, event.kind, code, cost=event.cost)
    attributes: Attributes = (
        (d.STEP_NAME, event.path),
        (d.STEP_KIND, event.kind.value),
        (d.PARK_CODE, code),
        (d.ERROR_TYPE, code),
    )
    if ledger.texts:
        attributes += ((d.SAGA_MESSAGE, d.short(event.text)),)
    step = ("step", event.path, event.kind)
    links = () if step in ledger.open else ledger.about(event.path, event.kind) or ledger.about(event.path, Kind.ACTION)
    ledger.end(("parked", event.path, event.kind))
    ledger.begin(("parked", event.path, event.kind), "parked", attributes, parent=step, links=links, error=code)


def released(ledger: Ledger, event: e.StepReleased) -> None:
    """An operator moved it."""
    ledger.end(("parked", event.path, event.kind), ((d.VERDICT, d.word(event.verdict)),))
    attributes: Attributes = (
        (d.STEP_NAME, event.path),
        (d.STEP_KIND, event.kind.value),
        (d.VERDICT, d.word(event.verdict)),
        *acted(ledger, event.actor, event.reason),
    )
    links = ledger.about(event.path, event.kind)
    ledger.moment("operator", f"operator {d.word(event.verdict)} {event.path}", attributes, links=links)


def paused(ledger: Ledger, event: e.SagaPaused | e.SagaResumed) -> None:
    """An operator stopped its clocks, or let them run again."""
    about = acted(ledger, event.actor, event.reason)
    match event:
        case e.SagaPaused():
            ledger.moment("operator", "operator pause", about)
            ledger.begin(PAUSED, "paused", ())
        case e.SagaResumed():
            ledger.end(PAUSED)
            ledger.moment("operator", "operator resume", about)
        case _:
            assert_never(event)


def asked(ledger: Ledger, event: e.CancelRequested) -> None:
    """Somebody wants it undone."""
    attributes: Attributes = (
        (d.REQUESTED_BY, d.short(event.by)),
        (d.TAKES_EFFECT, d.word(event.takes_effect)),
        *acted(ledger, event.actor, event.reason),
    )
    ledger.moment("operator", "cancel requested", attributes)
