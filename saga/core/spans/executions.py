"""Spans of a step's executions: what was asked, its attempts, what came back, and the time between."""

from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from saga.core import events as e
from saga.core.address import template
from saga.core.definition import CommandTemplate
from saga.core.identity import attempt_id, idempotency_key
from saga.core.messages import Kind
from saga.core.plan import stands_in
from saga.core.spans import data as d
from saga.core.spans.data import Attributes, Link, SpanKind
from saga.core.spans.ledger import PAUSED, Ledger, Open, Place, Run
from saga.core.spans.messaging import MESSAGING_SYSTEM, sent_to
from saga.cost import Cost

SEND = "send"
WAITS = ("wait", "approval")
"""Roles of what a saga waits for beside replies."""


def issued(ledger: Ledger, event: e.CommandIssued) -> None:
    """A new execution, and its first attempt."""
    close(ledger, event.path, event.kind, "superseded")
    links: tuple[Link, ...] = ()
    attributes: Attributes = _step(event.path, event.kind, event.execution)
    if event.kind is Kind.COMPENSATION:
        close(ledger, event.path, Kind.ACTION, "unknown")
        attributes += ((d.COMPENSATES, event.path), (d.COMPENSATES_OUTCOME, event.undoes_outcome or "unknown"))
        undone = ledger.executions.get((event.path, Kind.ACTION, event.undoes or 0))
        links = () if undone is None else (ledger.link(undone, "compensates"),)
    name = event.path if event.kind is Kind.ACTION else f"undo {event.path}"
    step = ledger.begin(("step", event.path, event.kind), name, attributes, links=links)
    ledger.executions[event.path, event.kind, event.execution] = step.id
    unknown = event.undoes_outcome == "unknown"
    attempt = _attempt(ledger, event, 1, unknown=unknown)
    ledger.runs[event.path, event.kind] = Run(event.execution, unknown, (attempt.id,))


def repeated(ledger: Ledger, event: e.CommandRepeated | e.AttemptEnded | e.StepExhausted) -> None:
    """An attempt brought nothing, or another one follows."""
    match event:
        case e.AttemptEnded():
            code = d.word(event.why)
            end_attempt(ledger, event.path, event.kind, code, message=event.message, cost=event.cost)
            about = (*_step(event.path, event.kind, event.execution), (d.OUTCOME, code))
            step = ("step", event.path, event.kind)
            ledger.end(("backoff", event.path, event.kind))  # it was asked again in a deploy gap
            ledger.begin(("backoff", event.path, event.kind), "backoff", about, parent=step)
        case e.CommandRepeated():
            ledger.end(("backoff", event.path, event.kind))
            end_attempt(ledger, event.path, event.kind, "superseded", error=False)
            run = ledger.runs.get((event.path, event.kind))
            if run is not None:
                attempt = _attempt(ledger, event, event.attempt, unknown=run.unknown)
                ledger.runs[event.path, event.kind] = Run(run.number, run.unknown, (*run.attempts, attempt.id))
        case e.StepExhausted():
            end_attempt(ledger, event.path, Kind.ACTION, "exhausted", cost=event.cost)
            close(ledger, event.path, Kind.ACTION, "unknown", error="exhausted")
        case _:
            assert_never(event)


def dispatched(ledger: Ledger, event: e.DispatchDelayed | e.DispatchConfirmed) -> None:
    """An attempt is not in any queue yet, or has reached one."""
    place = ("undelivered", event.path, event.kind)
    match event:
        case e.DispatchDelayed():
            about = _step(event.path, event.kind, event.execution)
            ledger.begin(place, "undelivered", about, parent=("attempt", event.path, event.kind))
        case e.DispatchConfirmed():
            ledger.end(place)
        case _:
            assert_never(event)


def answered(ledger: Ledger, event: e.Definite) -> None:
    """An execution is settled; or an answer came to one that was given up before, and is shown by itself."""
    match event:
        case e.StepSucceeded():
            _settle(ledger, event, Kind.ACTION, event.attempt, event.handler_ms)
        case e.StepFailed():
            _settle(ledger, event, Kind.ACTION, event.attempt, event.handler_ms)
        case e.CompensationSucceeded():
            _settle(ledger, event, Kind.COMPENSATION, event.attempt, event.handler_ms)
        case e.CompensationFailed():
            _settle(ledger, event, Kind.COMPENSATION, None, None)
        case e.LateReply():
            _late(ledger, event, event.kind, "late answer")
        case e.ContradictoryReply():
            ledger.fail()
            _late(ledger, event, event.kind, "contradictory answer", error="contradiction")
        case _:
            assert_never(event)


Settling = e.StepSucceeded | e.StepFailed | e.CompensationSucceeded | e.CompensationFailed


def _settle(ledger: Ledger, event: Settling, kind: Kind, attempt: int | None, handler_ms: int | None) -> None:
    run = ledger.runs.get((event.path, kind))
    _no_doubt_left(ledger, event.path, kind)
    if ("step", event.path, kind) not in ledger.open or run is None or run.number != event.execution:
        if not attempt:
            return  # an operator's word on what is closed: the operator's own span shows it
        _late(ledger, event, kind, "late answer")
        return
    outcome, error = _outcome(event)
    if attempt and handler_ms is not None:
        _handler(ledger, (event.path, kind), run, attempt, handler_ms)
    mine = attempt is None or attempt == len(run.attempts)
    actor = None if isinstance(event, e.CompensationFailed) else event.actor
    more: Attributes = () if not actor else ((d.ACTOR, d.short(actor)),)
    if mine and ("attempt", event.path, kind) in ledger.open:
        end_attempt(ledger, event.path, kind, error or outcome, error=bool(error), cost=event.cost)
    else:  # the answer of an attempt that was given up before
        end_attempt(ledger, event.path, kind, "superseded", error=False)
        more += d.costs(event.cost)
    if isinstance(event, e.StepFailed | e.CompensationFailed):
        more += _text(ledger, event.message)
    else:
        more += ((d.EFFECT, event.effect.value),)
    close(ledger, event.path, kind, outcome, error=error, more=more)


def _no_doubt_left(ledger: Ledger, path: str, kind: Kind) -> None:
    """Nobody needs to look at it any more; nor at its undo, if that only waited to hear whether the action happened."""
    ledger.end(("parked", path, kind))
    waiting = ledger.open.get(("parked", path, Kind.COMPENSATION))
    if kind is Kind.ACTION and waiting is not None:
        in_doubt = (d.PARK_CODE, e.ParkCode.ACTION_IN_DOUBT.value) in waiting.attributes
        if in_doubt or ("step", path, Kind.COMPENSATION) not in ledger.open:
            ledger.end(("parked", path, Kind.COMPENSATION))


def _outcome(event: Settling | e.LateReply | e.ContradictoryReply) -> tuple[str, str]:
    """Its word, and why it is an error."""
    match event:
        case e.StepFailed() | e.CompensationFailed():
            return "failed", d.word(event.code)
        case e.LateReply() | e.ContradictoryReply():
            return event.outcome.value, ""
        case _:
            return "ok", ""


def _late(
    ledger: Ledger, event: Settling | e.LateReply | e.ContradictoryReply, kind: Kind, name: str, error: str = ""
) -> None:
    outcome = _outcome(event)[0]
    attributes = (*_step(event.path, kind, event.execution), (d.OUTCOME, outcome), *d.costs(event.cost))
    if error:
        attributes += ((d.ERROR_TYPE, error),)
    links = ledger.about(event.path, kind, event.execution)
    ledger.moment("late", name, attributes, error=error, links=links)


def _handler(ledger: Ledger, step: tuple[str, Kind], run: Run, attempt: int, handler_ms: int) -> None:
    """Where the time went, of what the participant said and the engine saw; inside the attempt if that is still open.

    Only a duration crosses the wire, so the handler is shown right before its answer, and every wait before it.
    """
    place: Place = ("attempt", *step)
    sent = ledger.open.get(place) if attempt == len(run.attempts) else None
    above = sent or ledger.open["step", *step]
    now_ns = ledger.book.now_ns
    begun_ns = max(above.start_ns, now_ns - handler_ms * 1_000_000)
    attributes: Attributes = ((d.STEP_NAME, step[0]), (d.STEP_ATTEMPT, attempt))
    if sent is not None:
        ledger.write(Open(ledger.id("queue"), above.id, "queue wait", above.start_ns, attributes), begun_ns)
    links = () if sent is not None else _answered_attempt(ledger, run, attempt)
    ledger.write(Open(ledger.id("handler"), above.id, "handler", begun_ns, attributes), now_ns, links=links)


def _answered_attempt(ledger: Ledger, run: Run, attempt: int) -> tuple[Link, ...]:
    if not 1 <= attempt <= len(run.attempts):
        return ()
    return (ledger.link(run.attempts[attempt - 1], "answered"),)


def _attempt(ledger: Ledger, event: e.CommandIssued | e.CommandRepeated, number: int, *, unknown: bool) -> Open:
    template = _template(ledger, event.path, event.kind, unknown=unknown)
    key = idempotency_key(ledger.book.saga, event.path, event.kind, event.execution)
    destination = "" if template is None else template.type_name
    attributes: Attributes = (
        *_step(event.path, event.kind, event.execution),
        (d.STEP_ATTEMPT, number),
        *_messaging(destination),
        ("messaging.message.id", attempt_id(key, number)),
        ("messaging.message.conversation_id", ledger.book.saga),
    )
    step = ("step", event.path, event.kind)
    name = f"{SEND} {sent_to(destination)}"
    place = ("attempt", event.path, event.kind)
    return ledger.begin(place, name, attributes, parent=step, kind=SpanKind.PRODUCER)


def _template(ledger: Ledger, path: str, kind: Kind, *, unknown: bool) -> CommandTemplate | None:
    step = ledger.plan.steps.get(template(path))
    if step is None:
        return None
    if kind is Kind.ACTION:
        return step.command
    return (step.undo_unknown if unknown else None) or step.undo


@lru_cache(maxsize=1_024)
def _messaging(routing_key: str) -> Attributes:
    """The conventions for messages sent through RabbitMQ: the attempt stands for the sending."""
    return (
        ("messaging.system", MESSAGING_SYSTEM),
        ("messaging.operation.name", SEND),
        ("messaging.operation.type", SEND),
        ("messaging.destination.name", sent_to(routing_key)),
        ("messaging.rabbitmq.destination.routing_key", routing_key),
    )


def end_attempt(
    ledger: Ledger,
    path: str,
    kind: Kind,
    outcome: str,
    *,
    error: bool = True,
    message: str = "",
    cost: Cost | None = None,
) -> None:
    """The current attempt ends, if one is open, with whatever is open inside it.

    One that has ended was asked again in a deploy gap: what that cost stands on the back-off, which ends with it.
    """
    ledger.end(("undelivered", path, kind))
    attributes: Attributes = ((d.OUTCOME, outcome), *_text(ledger, message), *d.costs(cost))
    if error:
        attributes += ((d.ERROR_TYPE, outcome),)
    attempt = ledger.end(("attempt", path, kind), attributes, error=outcome if error else "")
    if attempt is None and cost is not None:
        ledger.end(("backoff", path, kind), d.costs(cost))


def close(ledger: Ledger, path: str, kind: Kind, outcome: str, *, error: str = "", more: Attributes = ()) -> None:
    """An execution ends, if one is open, with whatever is open inside it."""
    step = ("step", path, kind)
    if step not in ledger.open:
        return
    end_attempt(ledger, path, kind, outcome, error=False)
    ledger.end(("backoff", path, kind))
    ledger.end(("parked", path, kind))
    attributes: Attributes = ((d.OUTCOME, outcome), *more)
    if error:
        attributes += ((d.ERROR_TYPE, error),)
    ledger.end(step, attributes, error=error)


def give_up_waiting(ledger: Ledger, scope: str | None = None) -> None:
    """Waits and requests in a branch or attempt block, or all of them, wait for nothing any more."""
    waiting = [place for place in ledger.open if place[0] in WAITS]
    for place in waiting:
        if scope is None or stands_in(ledger.plan, place[1], scope):
            ledger.end(place, ((d.OUTCOME, "given-up"),))


def give_up_parked(ledger: Ledger, paths: Iterable[str]) -> None:
    """What was parked going forward is in front of nobody any more."""
    for path in paths:
        ledger.end(("parked", path, Kind.ACTION))


def close_all(ledger: Ledger) -> None:
    """The saga ends: executions nobody asks about any more, waits, parked steps, a pause."""
    give_up_waiting(ledger)
    for _, path, kind in [place for place in ledger.open if place[0] == "step"]:
        close(ledger, path, Kind(kind), "unknown")
    for place in [place for place in ledger.open if place[0] == "parked"]:
        ledger.end(place)
    ledger.end(PAUSED)


@lru_cache(maxsize=16_384)
def _step(path: str, kind: Kind, execution: int) -> Attributes:
    return ((d.STEP_NAME, path), (d.STEP_KIND, kind.value), (d.STEP_EXECUTION, execution))


def _text(ledger: Ledger, message: str) -> Attributes:
    return ((d.SAGA_MESSAGE, d.short(message)),) if ledger.texts and message else ()
