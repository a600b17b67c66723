"""Small builders for tests of the core: definitions, plans, histories and answers in a few words."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core import events as e
from saga.core import inputs as i
from saga.core.decide import Decision, decide
from saga.core.definition import (
    Block,
    CommandTemplate,
    Definition,
    OnExhausted,
    RetryPolicy,
    Step,
    StepKind,
    canonical,
    content_hash,
    decode,
)
from saga.core.expression import Expression, Object, Ref, ScalarType
from saga.core.messages import CommandMessage, Outcome, ReplyEffect, ReplyMessage
from saga.core.outstanding import outstanding
from saga.core.plan import Plan, plan_of
from saga.core.state import SagaState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAGA = "01930000-0000-7000-8000-000000000001"
INPUT_ID = Ref("input", ("id",), ScalarType.STR)


def template(service: str, name: str, **changes: Any) -> CommandTemplate:
    """A command that carries the order's id."""
    fields: dict[str, Any] = {
        "service": service,
        "name": name,
        "version": 1,
        "effect": Effect.INBOX,
        "reply": f"{service}.Done.v1",
        "failures": ("Declined",),
        "remembers": timedelta(days=30),
        "body": Object({"order": INPUT_ID}),
    }
    return CommandTemplate(**{**fields, **changes})


def step(path: str, kind: StepKind = StepKind.COMPENSATABLE, **changes: Any) -> Step:
    """A step of the service `<path>-service`; a compensatable one has an undo."""
    effect = changes.pop("effect", Effect.INBOX)
    service = changes.pop("service", f"{path}-service")
    unbounded = kind in (StepKind.PIVOT, StepKind.RETRYABLE)
    fields: dict[str, Any] = {
        "path": path,
        "kind": kind,
        "command": template(service, path.title(), effect=effect),
        "undo": template(service, f"Undo{path.title()}") if kind is StepKind.COMPENSATABLE else None,
        "retry": RetryPolicy(),
        "timeout": timedelta(seconds=30),
        "within": None if unbounded else timedelta(hours=1),
        "on_exhausted": OnExhausted.PARK,
    }
    return Step(**{**fields, **changes})


def plan(*blocks: Block, **changes: Any) -> Plan:
    """A plan of these blocks, through the canonical bytes."""
    output: Expression = Object({"order": INPUT_ID})
    fields: dict[str, Any] = {
        "name": "order",
        "version": 1,
        "deadline": timedelta(days=1),
        "input_type": "Order",
        "output_type": "Ordered",
        "reads": {"input.id": "str"},
        "blocks": tuple(blocks),
        "output": output,
    }
    data = canonical(Definition(**{**fields, **changes}))
    return plan_of(decode(data), content_hash(data))


def start(of: Plan, **changes: Any) -> i.Start:
    """The start every test begins with."""
    fields: dict[str, Any] = {
        "now": NOW,
        "saga": SAGA,
        "name": of.definition.name,
        "start_key": "k:1",
        "definition": of.hash,
        "input": b'{"id":"o1"}',
    }
    return i.Start(**{**fields, **changes})


def after(seconds: float) -> datetime:
    """A moment so long after the start."""
    return NOW + timedelta(seconds=seconds)


class Case:
    """A saga under test: its history so far, and the state it leads to."""

    def __init__(self, of: Plan, **start_changes: Any) -> None:
        self.plan = of
        self.now = NOW
        self.commits: list[tuple[e.AnyEvent, ...]] = []
        self._given: list[i.Input] = []
        first = start(of, **start_changes)
        decision = decide(of, None, first)
        self.state: SagaState = decision.state
        self._keep(first, decision)

    def when(self, given: i.Input) -> tuple[e.AnyEvent, ...]:
        """Decide one input; what it led to."""
        decision = decide(self.plan, self.state, given)
        self._keep(given, decision)
        return decision.events

    def inputs(self) -> list[i.Input]:
        """Everything that led to a commit."""
        return self._given

    def pass_time(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.now += timedelta(seconds=seconds)

    def tick(self, seconds: float = 0.0, *, dispatched: int | None = None) -> tuple[e.AnyEvent, ...]:
        """Time passed and somebody looks; everything sent so far reached the broker unless said otherwise."""
        self.pass_time(seconds)
        version = self.state.version if dispatched is None else dispatched
        return self.when(i.Tick(now=self.now, dispatched_version=version))

    def sent(self, path: str | None = None) -> CommandMessage:
        """The one command on the wire, of this step if it is named."""
        found = [due.message for due in outstanding(self.plan, self.state) if path in {None, due.message.path}]
        assert len(found) == 1, found
        return found[0]

    def ok(self, path: str | None = None, body: bytes = b'{"id":"x"}', **changes: Any) -> tuple[e.AnyEvent, ...]:
        """The command on the wire is answered ok."""
        return self.answer(self.sent(path), Outcome.OK, body=body, **{"effect": ReplyEffect.APPLIED, **changes})

    def answer(self, to: CommandMessage, outcome: Outcome, **changes: Any) -> tuple[e.AnyEvent, ...]:
        """A participant answers this command."""
        return self.when(i.Reply(now=self.now, message=reply(to, outcome, **changes)))

    def failed(self, path: str | None = None, code: str = "Declined", **changes: Any) -> tuple[e.AnyEvent, ...]:
        """The command on the wire is declined."""
        return self.answer(self.sent(path), Outcome.FAILED, code=code, **changes)

    def _keep(self, given: i.Input, decision: Decision) -> None:
        if decision.events:
            self.commits.append(decision.events)
            self._given.append(given)
            self.state = decision.state


def reply(to: CommandMessage, outcome: Outcome, **changes: Any) -> ReplyMessage:
    """An honest answer to a command."""
    fields: dict[str, Any] = {
        "saga": to.saga,
        "path": to.path,
        "kind": to.kind,
        "execution": to.execution,
        "attempt": to.attempt,
        "key": to.key,
        "in_reply_to": to.message_id,
        "service": to.service,
        "outcome": outcome,
        "effect": ReplyEffect.NONE,
        "type": f"{to.service}.Done.v1",
        "body": b"{}",
        "sender": to.service,
    }
    return ReplyMessage(**{**fields, **changes})


def names(events: Iterable[e.AnyEvent]) -> list[str]:
    """`StepSucceeded charge`: events as a reader names them."""
    return [f"{type(event).__name__} {getattr(event, 'path', '')}".rstrip() for event in events]


def raw(text: str) -> msgspec.Raw:
    """JSON as an event holds it."""
    return msgspec.Raw(text.encode())
