"""A saga under test: the real core over a history that is written as bytes and read back, with no engine around it."""

from datetime import UTC, datetime

import msgspec

from saga.core import events as e
from saga.core.decide import business_key, decide
from saga.core.definition import Definition
from saga.core.evolve import evolve_commit
from saga.core.inputs import Input, Start
from saga.core.outstanding import Wait, waits
from saga.core.plan import Plan, plan_of
from saga.core.reads import check_reads
from saga.core.state import SagaState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When every saga under test begins, unless told otherwise."""


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
        """Decide one input and record what follows. Raises LookupError for anything but a start before the start."""
        if isinstance(given, Start) == self.begun:
            raise LookupError(f"{self.title} is started {'twice' if self.begun else 'first'}. Fix: one started(...)")
        decided = decide(self.plan, self._state, given).events
        if decided:
            self.record(e.decode(e.encode(decided)))
        return decided

    def record(self, commit: tuple[e.AnyEvent, ...]) -> None:
        """Take over a commit, however it came about."""
        self._state = evolve_commit(self._state, commit)
        self.commits.append(commit)


def start_of(story: Story, body: msgspec.Struct, now: datetime, *, key: str | None, number: int = 0) -> Start:
    """The start of a saga as the engine would make it. Raises ValueError for an input it would not take."""
    data = msgspec.json.encode(body)
    mismatch = check_reads(story.plan.definition.reads, "input", data)
    if mismatch is not None:
        raise ValueError(f"{story.title} cannot run on this input: {mismatch}")
    named = key if key is not None else business_key(story.plan, data)
    return Start(
        now=now,
        saga=f"01930000-0000-7000-8000-{number:012x}",
        name=story.plan.definition.name,
        start_key="m:test" if named is None else f"k:{named}",
        definition=story.plan.hash,
        input=data,
        message_id="test",
    )
