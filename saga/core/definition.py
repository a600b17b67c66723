"""A saga definition as data: a tree of blocks and steps, its canonical bytes and its hash.

Built by `saga.define`, stored by hash, interpreted by `decide`. A run is pinned to the hash it started with.
"""

import hashlib
from datetime import timedelta

import msgspec

from saga.core.blocks import (
    DEADLINE,
    EXHAUSTED,
    EXPIRED,
    LIMIT,
    REJECTED,
    UNDO_RETRY,
    Approval,
    Attempt,
    Await,
    Block,
    Branch,
    CommandTemplate,
    Each,
    Join,
    OnBranchFailed,
    OnExhausted,
    OnLate,
    OnSilence,
    OnUndoFailed,
    Parallel,
    Repeat,
    RetryPolicy,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
    blocks_of,
    children,
    steps_of,
)
from saga.core.expression import Expression

__all__ = [
    "DEADLINE",
    "DEFINITION_BYTES_MAX",
    "DEPTH_MAX",
    "EXHAUSTED",
    "EXPIRED",
    "FORMAT",
    "LIMIT",
    "NAME_CHARACTERS_MAX",
    "PATH_CHARACTERS_MAX",
    "REJECTED",
    "STEPS_MAX",
    "UNDO_RETRY",
    "Approval",
    "Attempt",
    "Await",
    "Block",
    "Branch",
    "CommandTemplate",
    "Definition",
    "Each",
    "Join",
    "OnBranchFailed",
    "OnExhausted",
    "OnLate",
    "OnSilence",
    "OnUndoFailed",
    "Parallel",
    "Repeat",
    "RetryPolicy",
    "Sleep",
    "Step",
    "StepKind",
    "When",
    "Within",
    "blocks_of",
    "canonical",
    "children",
    "content_hash",
    "decode",
    "steps_of",
]

NAME_CHARACTERS_MAX = 64
PATH_CHARACTERS_MAX = 200
STEPS_MAX = 500
DEPTH_MAX = 16
TAGS_MAX = 32
DEFINITION_BYTES_MAX = 1024 * 1024
FORMAT = 1
"""Version of this data shape. A reader refuses a newer one."""


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
