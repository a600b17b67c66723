"""The blocks a saga definition is made of: steps, and what stands around them."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

import msgspec

from saga.contract import Effect
from saga.core.expression import Expression


class StepKind(StrEnum):
    """What the step means for undoing (the transaction classes of a saga)."""

    COMPENSATABLE = "compensatable"
    READ = "read"
    PIVOT = "pivot"
    RETRYABLE = "retryable"


class OnExhausted(StrEnum):
    """What to do with a step whose attempts or time are used up."""

    PARK = "park"
    COMPENSATE = "compensate"


class OnUndoFailed(StrEnum):
    """What to do with the other compensations while one stands in front of an operator."""

    HOLD = "hold"
    CONTINUE = "continue"


EXHAUSTED = "exhausted"
"""Beside failure codes in `Attempt.on`: the step's attempts or time are used up."""
REJECTED = "rejected"
"""The same for an approval that was refused, or that nobody gave in time where silence means no."""
EXPIRED = "expired"
"""The same for an approval that nobody gave in time."""
DEADLINE = "deadline"
"""The same for a `Within` block, or a wait for a signal, whose time is up."""
LIMIT = "limit"
"""The same for a loop that has had all its turns."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential back-off with full jitter, from `first` doubling up to `cap`."""

    attempts: int | None = None
    """None: as many as fit into the step's `within`."""
    first: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=5)


UNDO_RETRY = RetryPolicy(attempts=30, first=timedelta(seconds=1), cap=timedelta(minutes=10))


class CommandTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A command to send: who answers it, what it promises, and how its body is made from recorded data."""

    service: str
    name: str
    version: int
    effect: Effect
    reply: str
    """Type name of the reply, e.g. `payments.CardCharged.v1`."""
    failures: tuple[str, ...]
    """Codes of the declared refusals."""
    remembers: timedelta
    body: Expression
    senders: tuple[str, ...] = ()
    """Broker users whose replies are believed; empty: the service's own name."""

    @property
    def type_name(self) -> str:
        return f"{self.service}.{self.name}.v{self.version}"


class Step(msgspec.Struct, frozen=True, kw_only=True, tag="step", tag_field="block"):
    """A leaf: one command, with what undoes it."""

    path: str
    kind: StepKind
    command: CommandTemplate
    undo: CommandTemplate | None = None
    undo_unknown: CommandTemplate | None = None
    """Sent instead of `undo` when the step's outcome is not known."""
    no_undo: str | None = None
    """Why a compensatable step needs no undo."""
    retry: RetryPolicy
    timeout: timedelta
    """Of one attempt, counted from its confirmed dispatch."""
    within: timedelta | None
    """Of the whole step; None: unbounded (the pivot and everything after it)."""
    on_exhausted: OnExhausted
    undo_retry: RetryPolicy = UNDO_RETRY
    on_undo_failed: OnUndoFailed = OnUndoFailed.HOLD


class When(msgspec.Struct, frozen=True, kw_only=True, tag="when", tag_field="block"):
    """Two arms; the condition is evaluated once, when the block is reached, and recorded."""

    path: str
    condition: Expression
    then: tuple["Block", ...]
    otherwise: tuple["Block", ...] = ()


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag="attempt", tag_field="block"):
    """A scope: when it fails for one of the reasons in `on`, it is undone and the other way is taken."""

    path: str
    on: tuple[str, ...]
    """Failure codes, and `exhausted`."""
    body: tuple["Block", ...]
    otherwise: tuple["Block", ...]


class Join(StrEnum):
    """How many branches must succeed."""

    ALL = "all"
    ANY = "any"
    """The first one; the others are undone before the saga goes on."""


class OnBranchFailed(StrEnum):
    """What the other branches do when one fails."""

    STOP = "stop"
    """The block fails at once; what is in flight is unknown and undone first."""
    FINISH = "finish"
    """The block fails when every branch has come to rest."""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence of a `Parallel`."""

    path: str
    body: tuple["Block", ...]


class Parallel(msgspec.Struct, frozen=True, kw_only=True, tag="parallel", tag_field="block"):
    """Branches side by side."""

    path: str
    branches: tuple[Branch, ...]
    join: Join = Join.ALL
    on_failed: OnBranchFailed = OnBranchFailed.STOP


class Each(msgspec.Struct, frozen=True, kw_only=True, tag="each", tag_field="block"):
    """The body for every item of a list, which is frozen when the block is reached. Item 2 runs at `<path>[2]/...`.

    The item itself is read as the source `<path>`.
    """

    path: str
    items: Expression
    limit: int
    """More items park the saga here."""
    window: int
    """Items under way at once."""
    key: Expression | None = None
    """Must differ from item to item; shown to people, never part of an id."""
    on_failed: OnBranchFailed = OnBranchFailed.STOP
    body: tuple["Block", ...]


class Repeat(msgspec.Struct, frozen=True, kw_only=True, tag="repeat", tag_field="block"):
    """The body again and again until a condition holds, at most `limit` times. Turn 3 runs at `<path>#3/...`."""

    path: str
    until: Expression
    """Looked at after each turn, over what that turn recorded."""
    limit: int
    pause: timedelta | None = None
    """Between two turns."""
    body: tuple["Block", ...]


class Within(msgspec.Struct, frozen=True, kw_only=True, tag="within", tag_field="block"):
    """A scope with a deadline, counted from when it is reached; it fails with `deadline` when that passes."""

    path: str
    time: timedelta
    body: tuple["Block", ...]


class Sleep(msgspec.Struct, frozen=True, kw_only=True, tag="sleep", tag_field="block"):
    """A wait for a time: `time` after it is reached, or until an instant."""

    path: str
    time: Expression | None = None
    """A duration."""
    until: Expression | None = None
    """An instant. Exactly one of the two is given."""


class OnLate(StrEnum):
    """What follows when a signal did not come in time."""

    FAIL = "fail"
    """Fails with `deadline`: an enclosing attempt block, else compensation."""
    PARK = "park"
    CONTINUE = "continue"
    """The saga goes on without it; whoever reads it needs a default."""


class Await(msgspec.Struct, frozen=True, kw_only=True, tag="await", tag_field="block"):
    """A wait for a signal. Its body is read as the source `<path>`; `where` reads it as the source `signal`."""

    path: str
    signal: str
    where: Expression | None = None
    within: timedelta | None = None
    on_late: OnLate = OnLate.FAIL


class OnSilence(StrEnum):
    """What follows when nobody decided in time."""

    REJECT = "reject"
    """As if it was refused: fails with `rejected`."""
    COMPENSATE = "compensate"
    """Fails with `expired`."""
    ESCALATE = "escalate"
    """Other roles are asked, for as long again; their silence is a refusal."""


class Approval(msgspec.Struct, frozen=True, kw_only=True, tag="approval", tag_field="block"):
    """People decide about a subject. Its source `<path>` reads `subject`, `approver`, `reason` and `approved_at`."""

    path: str
    subject: Expression
    """What is decided on: the body of the command it guards, or what a gate shows."""
    subject_type: str
    guards: str | None = None
    """The step that sends the subject; None for a gate. A permit is used by one execution of it."""
    roles: tuple[str, ...]
    """Who may decide: anybody with one of them."""
    quorum: int = 1
    """Approvals by different people; one rejection closes it."""
    exclude_requester: bool = False
    summary: Expression | None = None
    """What it is about, as text for a person."""
    condition: Expression | None = None
    """Needed only if it holds, on the data at the time."""
    editable: tuple[str, ...] = ()
    """Fields of the subject that an approver may change."""
    expires: timedelta | None = None
    on_silence: OnSilence = OnSilence.REJECT
    escalate_to: tuple[str, ...] = ()
    remind_every: timedelta | None = None


Block = Step | When | Attempt | Parallel | Each | Repeat | Within | Sleep | Await | Approval


def children(block: Block) -> tuple[tuple[Block, ...], ...]:
    """The sequences inside a block, in order."""
    match block:
        case Step():
            return ()
        case When():
            return (block.then, block.otherwise)
        case Attempt():
            return (block.body, block.otherwise)
        case Parallel():
            return tuple(branch.body for branch in block.branches)
        case Each() | Repeat() | Within():
            return (block.body,)
        case Sleep() | Await() | Approval():
            return ()


def blocks_of(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """Every block below, depth first, in the order written."""
    for block in blocks:
        yield block
        for inner in children(block):
            yield from blocks_of(inner)


def steps_of(blocks: tuple[Block, ...]) -> Iterator[Step]:
    """Every step below, depth first, in the order written."""
    return (block for block in blocks_of(blocks) if isinstance(block, Step))
