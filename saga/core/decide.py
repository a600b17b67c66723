"""`decide`: what happened to a saga -> the events of one commit. Pure; never raises for anything a peer can send."""

from collections.abc import Callable
from typing import cast

import msgspec

from saga.core import decisions, operate, waits
from saga.core import events as e
from saga.core import inputs as i
from saga.core.advance import advance
from saga.core.children import on_parent
from saga.core.due import on_delivered, on_tick, on_undelivered
from saga.core.evaluation import render
from saga.core.evolve import begin, evolve, next_commit
from saga.core.expression import EvaluationError, Expression
from saga.core.outstanding import has_reason
from saga.core.plan import Plan
from saga.core.replies import on_reply
from saga.core.rows import indexed_text
from saga.core.state import SagaState
from saga.core.transitions import TABLE, Rule

ADVANCES_MAX = 20_000
"""Steps `advance` may take in one decision; more is a defect of the core, not of a definition."""


class Decision(msgspec.Struct, frozen=True):
    """What is to be committed, and the state it leads to. No events: nothing happened, commit nothing."""

    events: tuple[e.AnyEvent, ...]
    state: SagaState


def decide(plan: Plan, state: SagaState | None, given: i.Input) -> Decision:
    """Apply one input. `state` is None for a Start and for nothing else."""
    rule = TABLE[None if state is None else state.phase][type(given)]
    if state is None:
        first = _begin(plan, cast("i.Start", given))
        begun = _begun(first, cast("i.Start", given))
        fresh = begin(first)
        for event in begun[1:]:
            fresh = evolve(fresh, event)
        return _follow(plan, fresh, begun, given)
    events = _RULES[rule](plan, state, given)
    if not events:
        return Decision((), state)
    after = next_commit(state)
    for event in events:
        after = evolve(after, event)
    return _follow(plan, after, events, given)


def _follow(plan: Plan, state: SagaState, events: tuple[e.AnyEvent, ...], given: i.Input) -> Decision:
    """Everything that follows from the events, until the state waits or has ended."""
    collected = list(events)
    for _ in range(ADVANCES_MAX):
        more, state = advance(plan, state, given.now)
        if not more:
            break
        collected += more
    else:
        raise AssertionError(f"{state.saga}: the definition {plan.definition.name} never comes to rest")
    assert state.terminal or has_reason(plan, state), f"{state.saga} stands still without a reason"
    return Decision(tuple(collected), state)


def _begin(plan: Plan, given: i.Start) -> e.SagaStarted:
    definition = plan.definition
    return e.SagaStarted(
        at=given.now,
        saga=given.saga,
        name=given.name,
        start_key=given.start_key,
        definition=plan.hash,
        definition_version=definition.version,
        input=msgspec.Raw(given.input),
        root=given.saga if given.parent is None else given.parent.root,
        parent=None if given.parent is None else given.parent.saga,
        depth=0 if given.parent is None else given.parent.depth,
        deadline_at=given.now + definition.deadline,
        tags={
            name: indexed_text(text)
            for name, expression in definition.tags.items()
            if (text := _text(expression, given.input))
        },
        requester=_requester(plan, given),
        by=given.by,
        actor=given.actor,
        message_id=given.message_id,
        reply_to=given.reply_to,
        traceparent=given.traceparent,
        untraced=given.untraced,
    )


def _requester(plan: Plan, given: i.Start) -> str | None:
    """Who asked: as a gateway vouches, as the parent knows, or as the input says. A blank text names nobody."""
    parent = None if given.parent is None else given.parent.requester
    named = None if plan.definition.requester is None else _text(plan.definition.requester, given.input)
    return next((who for who in (given.actor, parent, named) if who is not None and who.strip()), None)


def _begun(first: e.SagaStarted, given: i.Start) -> tuple[e.AnyEvent, ...]:
    """The start, and of a child whom to answer; one that is undone before it began ends with it."""
    if given.parent is None:
        return (first,)
    parent = given.parent
    asked = e.ParentAsked(
        at=given.now, path=parent.path, kind=parent.kind, execution=parent.execution, attempt=parent.attempt
    )
    if not given.tombstone:
        return (first, asked)
    return (first, asked, e.SagaAbandoned(at=given.now, actor="saga", reason="undone before it began", tombstone=True))


def business_key(plan: Plan, body: bytes) -> str | None:
    """The key a definition takes from its input; None when it names none or the input lacks it."""
    key = plan.definition.key
    return None if key is None else _text(key, body)


def _text(expression: Expression, body: bytes) -> str | None:
    """A scalar of the input as text; None when it is absent."""
    try:
        value = render(expression, {"input": body})
    except EvaluationError:
        return None
    if value == b"null":
        return None
    return cast("str", msgspec.json.decode(value)) if value.startswith(b'"') else value.decode()


_Rule = Callable[[Plan, SagaState, i.Input], tuple[e.AnyEvent, ...]]

_RULES: dict[Rule, _Rule] = {
    Rule.TAKE_REPLY: lambda plan, state, given: on_reply(plan, state, cast("i.Reply", given)),
    Rule.RECORD_IF_ODD: lambda plan, state, given: on_reply(plan, state, cast("i.Reply", given)),
    Rule.LOOK_AT_THE_CLOCK: lambda plan, state, given: on_tick(plan, state, cast("i.Tick", given)),
    Rule.STOP_THE_CLOCK_OF_AN_ATTEMPT: lambda _, state, given: on_undelivered(state, cast("i.Undelivered", given)),
    Rule.START_THE_CLOCK_OF_AN_ATTEMPT: lambda plan, state, given: on_delivered(
        plan, state, cast("i.Delivered", given)
    ),
    Rule.CANCEL: lambda plan, state, given: operate.on_cancel(plan, state, cast("i.Cancel", given)),
    Rule.ABANDON: lambda plan, state, given: operate.on_abandon(plan, state, cast("i.Abandon", given)),
    Rule.PAUSE: lambda _, state, given: operate.on_pause(state, cast("i.Pause", given)),
    Rule.RESUME: lambda plan, state, given: operate.on_resume(plan, state, cast("i.Resume", given)),
    Rule.RESOLVE: lambda plan, state, given: operate.on_resolve(plan, state, cast("i.Resolve", given)),
    Rule.TAKE_SIGNAL: lambda plan, state, given: waits.on_signal(plan, state, cast("i.SignalGiven", given)),
    Rule.TAKE_DECISION: lambda plan, state, given: decisions.on_decision(plan, state, cast("i.DecisionGiven", given)),
    Rule.HEAR_PARENT: lambda _, state, given: on_parent(state, cast("i.ParentAsks", given)),
    Rule.IGNORE: lambda _plan, _state, _given: (),
}
