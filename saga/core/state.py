"""SagaState: what a history means, as a value. `saga.core.evolve` folds events into it.

Phase plus data for that phase. Parked belongs to a step, paused is a flag on top of any phase, and the order of
compensation is derived from the recorded order of completions, never stored.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.events import Choice, Closed, ParkCode, WaitEnd, WaitFor
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.cost import Cost

Order = tuple[int, int]
"""(commit version, index of the event in the commit): when something was recorded, relative to everything else."""

NEVER: Order = (0, 0)


class Phase(StrEnum):
    """Where a saga stands. The last three are terminal."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    ABANDONED = "abandoned"


TERMINAL = frozenset({Phase.COMPLETED, Phase.COMPENSATED, Phase.ABANDONED})


class Waiting(StrEnum):
    """What an unsettled execution waits for."""

    REPLY = "reply"
    DELIVERY = "delivery"
    """Its attempt has not reached a queue."""
    BACKOFF = "backoff"
    NOTHING = "nothing"
    """Settled, exhausted or parked: only a late answer or an operator moves it."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked once, under one idempotency key."""

    kind: Kind
    number: int
    body: bytes
    issued: Order
    issued_at: datetime
    sent: Order
    """The event that put the current attempt on the wire."""
    sent_at: datetime
    delivered: bool = False
    """The current attempt was late, and is known to have reached its queue."""
    attempt: int = 1
    counted: int = 1
    """Attempts that use up the budget."""
    waiting: Waiting = Waiting.REPLY
    wake_at: datetime | None = None
    """Attempt due, or end of back-off."""
    unknown: bool = False
    """The back-off is for a command its service does not know, which counts as no attempt."""
    within_at: datetime | None = None
    clock_at: datetime
    """From when the current attempt's time counts: it was sent, or confirmed late; a pause moves it."""
    why: str = ""
    """Why the last attempt brought nothing, or why delivery waits."""
    outcome: Outcome | None = None
    """`ok` or `failed`; None is unknown."""
    settled: Order = NEVER
    code: str = ""
    exhausted: bool = False
    undoes: int | None = None
    undoes_outcome: str | None = None
    built_for: str | None = None
    """The outcome its command and body were made for: they stay when `undoes_outcome` becomes known."""
    effect: ReplyEffect = ReplyEffect.NONE
    odd: frozenset[Outcome] = frozenset()
    """Late or contradictory answers that were recorded already."""
    cost_told: bool = False
    """A definite answer told its cost: copies of it may be recorded as other facts, and cost nothing."""


class StepState(msgspec.Struct, frozen=True, kw_only=True):
    """One step's executions. A step that was never issued has no entry."""

    action: Execution
    reply: bytes | None = None
    undo: Execution | None = None
    undone: bool = False
    past: tuple[Execution, ...] = ()
    """Earlier executions, actions and compensations."""


class BlockMode(StrEnum):
    """Where an attempt block stands once it gave up."""

    UNDOING = "undoing"
    """Also a branch that lost: it stays so when it is undone."""
    OTHERWISE = "otherwise"


class Parked(msgspec.Struct, frozen=True):
    """Why a step waits for a person."""

    kind: Kind
    code: ParkCode
    text: str
    at: datetime


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A wait that is under way."""

    waits_for: WaitFor
    since: datetime
    until: datetime | None
    signal: str = ""


class Signal(msgspec.Struct, frozen=True):
    """A signal that came, and that no wait has consumed yet."""

    name: str
    message_id: str
    body: bytes


class Turn(msgspec.Struct, frozen=True):
    """Where a loop stands."""

    number: int
    """Of the turn under way; of the last one when it is done."""
    done: bool = False
    granted: int = 0
    """Turns before an operator let the loop begin its limit anew: they count no more."""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One person's decision."""

    approver: str
    choice: Choice
    digest: str
    at: datetime
    request: str
    reason: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The latest request for an approval at one path, or that none was needed (`number` 0)."""

    number: int
    opened: Order
    opened_at: datetime
    subject: bytes
    """As last edited."""
    digest: str
    edited: bool = False
    roles: tuple[str, ...] = ()
    quorum: int = 1
    summary: str = ""
    requester: str | None = None
    expires_at: datetime | None = None
    remind_at: datetime | None = None
    escalated: bool = False
    decisions: tuple[Decided, ...] = ()
    closed: Closed | None = None
    closed_at: datetime | None = None
    used_by: int | None = None
    """Execution of the guarded step that spent the permit."""
    released: bool = False
    """An operator asked for a new request."""


class ParentLink(msgspec.Struct, frozen=True):
    """The execution of the parent saga's step that waits for this saga's end."""

    saga: str
    path: str
    kind: Kind
    execution: int
    attempt: int
    asked: Order


class SagaState(msgspec.Struct, frozen=True, kw_only=True):
    """The fold of a history."""

    saga: str
    name: str
    start_key: str
    definition: str
    definition_version: int
    root: str
    input: bytes
    started_at: datetime
    deadline_at: datetime
    tags: dict[str, str] = {}
    message_id: str = ""
    reply_to: str = ""
    untraced: bool = False
    requester: str | None = None
    parent: str | None = None
    """Id of the parent saga."""
    depth: int = 0
    """Sagas above it."""
    asked_by: ParentLink | None = None
    """Who is told how it ended."""
    tombstone: bool = False
    """Its parent undid it before its start arrived: it never began, and never will."""

    version: int = 1
    index: int = 0
    """Events of the current commit folded so far."""
    phase: Phase = Phase.RUNNING
    ended: int = 0
    """The commit in which it ended; a child may end twice."""
    ended_at: datetime | None = None
    steps: dict[str, StepState] = {}
    arms: dict[str, bool] = {}
    blocks: dict[str, BlockMode] = {}
    """Attempt blocks that gave up, and branches that another one made needless."""
    chosen: dict[str, str] = {}
    """The winning branch of a block where one is enough."""
    items: dict[str, tuple[bytes, ...]] = {}
    turns: dict[str, Turn] = {}
    pending: dict[str, Pending] = {}
    waited: dict[str, WaitEnd] = {}
    """Waits that are over, and how."""
    signals: tuple[Signal, ...] = ()
    consumed: dict[str, bytes] = {}
    """Bodies of signals, by the wait that took them."""
    signal_ids: frozenset[str] = frozenset()
    """Of all that came: the same again changes nothing."""
    requests: dict[str, Request] = {}
    decision_ids: frozenset[str] = frozenset()
    """Of all decisions that counted: a message that comes again must not decide on a later request."""
    parked: dict[str, Parked] = {}
    paused_at: datetime | None = None
    deadline_passed: bool = False
    cancel: str | None = None
    """Request id of the first cancel."""
    cancel_counts: bool = False
    """The cancel takes effect now, or if the pivot fails; False when it came too late."""
    because: str = ""
    """Why it compensates, in words."""
    because_code: str = ""
    compensating_at: datetime | None = None
    """Since when."""
    output: bytes = b""
    recorded_bytes: int = 0
    """Of bodies and replies, for the limit on a saga's data."""
    events_count: int = 0
    cost: Cost = {}
    """What every recorded answer told, added up by unit; its sub-sagas have their own."""
    costs_unreadable: int = 0
    """Answers whose cost is missing in that."""

    @property
    def terminal(self) -> bool:
        return self.phase in TERMINAL


class View(msgspec.Struct, frozen=True):
    """A saga as its row shows it."""

    status: str
    wait_kind: str
    wait_text: str
    tags: dict[str, str] = {}
