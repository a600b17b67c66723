"""A saga under test: the real core over a history that is written as bytes and read back, with no engine around it."""

from datetime import UTC, datetime

import msgspec

from saga.core import events as e
from saga.core.decide import decide
from saga.core.definition import Definition
from saga.core.errors import ProtocolViolation
from saga.core.evolve import evolve_commit
from saga.core.inputs import Input, Start
from saga.core.limits import unsendable
from saga.core.messages import StartMessage
from saga.core.outstanding import Wait, waits
from saga.core.plan import Plan, plan_of
from saga.core.state import SagaState
from saga.engine.start import first_decision, given_by
from saga.ports import Delivery, Outgoing
from saga.wire import names, start_from_wire, start_to_wire
from saga.wire.callers import BY_KEY, BY_MESSAGE

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When every saga under test begins, unless told otherwise."""
GATEWAY = "test"
"""The broker user who starts it: whoever it vouches for is believed."""


class NotStarted(ValueError):
    """No saga begins; the engine's reason, with its code."""

    def __init__(self, title: str, violation: ProtocolViolation) -> None:
        super().__init__(f"{title} is not started: {violation}")
        self.violation = violation


class Story:
    """One saga's history, and the state it leads to."""

    def __init__(self, definition: Definition, content_hash: str) -> None:
        self.plan: Plan = plan_of(definition, content_hash)
        self.commits: list[tuple[e.AnyEvent, ...]] = []
        self._state: SagaState | None = None

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"{self.plan.definition.name} v{self.plan.definition.version}"

    @property
    def begun(self) -> bool:
        """Whether there is a saga yet."""
        return self._state is not None

    @property
    def state(self) -> SagaState:
        """Raises LookupError before its start."""
        if self._state is None:
            raise LookupError(f"{self.title} has not been started. Fix: begin with started(...)")
        return self._state

    @property
    def waits(self) -> list[Wait]:
        """Why it does not move."""
        return waits(self.plan, self.state)

    @property
    def events(self) -> tuple[e.AnyEvent, ...]:
        """Everything recorded so far."""
        return tuple(event for commit in self.commits for event in commit)

    def apply(self, given: Input) -> tuple[e.AnyEvent, ...]:
        """Decide one input and record what follows.

        Raises LookupError for anything but a start before the start, NotStarted for one that the engine refuses.
        """
        if isinstance(given, Start) == self.begun:
            raise LookupError(f"{self.title} is started {'twice' if self.begun else 'first'}. Fix: one started(...)")
        decided = self._first(given) if isinstance(given, Start) else decide(self.plan, self._state, given).events
        if decided:
            self.record(e.decode(e.encode(decided)))
        return decided

    def record(self, commit: tuple[e.AnyEvent, ...]) -> None:
        """Take over a commit, however it came about."""
        self._state = evolve_commit(self._state, commit)
        self.commits.append(commit)

    def _first(self, given: Start) -> tuple[e.AnyEvent, ...]:
        try:
            return first_decision(self.plan, given).events
        except ProtocolViolation as violation:
            raise NotStarted(self.title, violation) from None


def start_of(
    story: Story, body: msgspec.Struct, now: datetime, *, key: str | None, actor: str | None, number: int = 0
) -> Start:
    """The start as the engine takes it from the wire. Raises NotStarted for one it would not take."""
    definition, message_id = story.plan.definition, "test"
    asks = StartMessage(
        name=definition.name,
        version=definition.version,
        start_key=BY_MESSAGE + message_id if key is None else BY_KEY + key,
        input=msgspec.json.encode(body),
        message_id=message_id,
        actor=actor,
    )
    try:
        heard = start_from_wire(_carried(start_to_wire(asks)))
        return given_by(heard, story.plan, f"01930000-0000-7000-8000-{number:012x}", frozenset({GATEWAY}), now)
    except ProtocolViolation as violation:
        raise NotStarted(story.title, violation) from None


def _carried(message: Outgoing) -> Delivery:
    """The message as a broker delivers it. Raises ProtocolViolation for one that no bus takes."""
    problem = unsendable(message)
    if problem is not None:
        raise ProtocolViolation("refused-by-broker", problem)
    return Delivery(
        queue=names.QUEUE_START,
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        message_id=message.message_id,
        type=message.type,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        headers=message.headers,
        sender=GATEWAY,
        redelivered=False,
        token=1,
    )
