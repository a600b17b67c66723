"""A span as data, before any encoding, and the names of its attributes."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from saga.cost import Cost, spelt

Value = str | int | bool
Attributes = tuple[tuple[str, Value], ...]

TEXT_CHARACTERS_MAX: Final = 256
OTHER: Final = "other"
"""In place of a word that is no word: what a peer calls a code may hold anything."""

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

SAGA_ID: Final = "saga.id"
SAGA_NAME: Final = "saga.name"
SAGA_VERSION: Final = "saga.version"
"""Of the definition."""
SAGA_STATUS: Final = "saga.status"
SAGA_BECAUSE: Final = "saga.because"
SAGA_REBUILT: Final = "saga.rebuilt"
"""The saga was not sampled, so its participants made no spans: these come from its history."""
SAGA_KEY: Final = "saga.key"
SAGA_TAG: Final = "saga.tag."
SAGA_MESSAGE: Final = "saga.message"
SAGA_REASON: Final = "saga.reason"
STEP_NAME: Final = "saga.step.name"
STEP_KIND: Final = "saga.step.kind"
STEP_EXECUTION: Final = "saga.step.execution"
STEP_ATTEMPT: Final = "saga.step.attempt"
OUTCOME: Final = "saga.outcome"
EFFECT: Final = "saga.effect"
COMPENSATES: Final = "saga.compensates"
COMPENSATES_OUTCOME: Final = "saga.compensates.outcome"
PARK_CODE: Final = "saga.park.code"
ACTOR: Final = "saga.actor"
REQUESTED_BY: Final = "saga.requested_by"
VERDICT: Final = "saga.verdict"
TAKES_EFFECT: Final = "saga.takes_effect"
COST: Final = "saga.cost"
"""As its header says it; on the span of a saga, the sum."""
UNREADABLE: Final = "unreadable"
LINK_KIND: Final = "saga.link.kind"
ERROR_TYPE: Final = "error.type"


class SpanKind(StrEnum):
    """As OpenTelemetry knows them."""

    INTERNAL = "internal"
    PRODUCER = "producer"


class Link(msgspec.Struct, frozen=True):
    """A pointer to another span, possibly of another trace."""

    trace: str
    span: str
    kind: str
    """`started_by`, `asked_by`, `compensates`, `about`, `answered`."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A closed span. Ids are hex; times are nanoseconds since 1970, whole microseconds."""

    trace: str
    id: str
    parent: str
    """Empty for a root."""
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str = ""
    """Why its status is an error; empty: unset."""
    links: tuple[Link, ...] = ()


def word(text: str) -> str:
    """A code as an attribute may show it."""
    return text if _WORD.fullmatch(text) else OTHER


def costs(cost: Cost | None) -> Attributes:
    """What an answer told that its work cost; nothing if it told none."""
    return () if cost is None else ((COST, spelt(cost) or UNREADABLE),)


def short(text: str) -> str:
    """A text as an attribute may show it."""
    return text[:TEXT_CHARACTERS_MAX]
