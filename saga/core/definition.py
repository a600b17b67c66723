"""A saga definition as data: a tree of blocks and steps, its canonical bytes and its hash.

Built by `saga.define`, stored by hash, interpreted by `decide`. A run is pinned to the hash it started with.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

import msgspec

from saga.contract import Effect
from saga.core.expression import Expression

NAME_CHARACTERS_MAX = 64
PATH_CHARACTERS_MAX = 200
STEPS_MAX = 500
DEPTH_MAX = 16
TAGS_MAX = 32
DEFINITION_BYTES_MAX = 1024 * 1024
FORMAT = 1
"""Version of this data shape. A reader refuses a newer one."""


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
"""Beside failure codes in `AttemptBlock.on`: the step's attempts or time are used up."""


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


Block = Step | When | Attempt


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled saga definition."""

    format: int = FORMAT
    name: str
    version: int
    deadline: timedelta
    input_type: str
    output_type: str
    key: Expression | None = None
    """The business key, taken from the input when the start names none."""
    tags: dict[str, Expression] = {}
    requester: Expression | None = None
    reads: dict[str, str]
    """Every path the definition reads (`input.total`, `charge.charge_id`) and its type: checked on arrival."""
    blocks: tuple[Block, ...]
    output: Expression


def children(block: Block) -> tuple[tuple[Block, ...], ...]:
    """The sequences inside a block, in order."""
    match block:
        case Step():
            return ()
        case When():
            return (block.then, block.otherwise)
        case Attempt():
            return (block.body, block.otherwise)


def steps_of(blocks: tuple[Block, ...]) -> Iterator[Step]:
    """Every step below, depth first, in the order written."""
    for block in blocks:
        if isinstance(block, Step):
            yield block
        for inner in children(block):
            yield from steps_of(inner)


def canonical(definition: Definition) -> bytes:
    """The one byte form of a definition: sorted keys, no spaces, every field written."""
    return msgspec.json.encode(definition, order="sorted")


def content_hash(data: bytes) -> str:
    """Hex SHA-256 of canonical bytes: the identity of a definition."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes) -> Definition:
    """Read canonical bytes. Raises ValueError when they are not a definition this release can run."""
    definition = _DECODER.decode(data)
    if definition.format > FORMAT:
        raise ValueError(f"definition format {definition.format} is newer than this engine's {FORMAT}")
    return definition


_DECODER = msgspec.json.Decoder(Definition)
