"""Lifecycle events: what a commit means to somebody who does not run sagas, from the states before and after it.

Pure and without a list of event types, so that the same commit tells the same, whoever asks and however often. Nothing
in a lifecycle event was written by a participant or a caller but names, keys and codes: no payload, no free text.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import TypedDict, TypeVar

import msgspec

from saga.core import events as e
from saga.core.messages import Kind
from saga.core.outstanding import view, waits
from saga.core.plan import Plan
from saga.core.state import Phase, SagaState


class Moment(StrEnum):
    """What happened; one commit can be several of these, in this order."""

    STARTED = "started"
    PARKED = "parked"
    WAITING = "waiting"
    COMPENSATING = "compensating"
    ENDED = "ended"


UNREMARKABLE = frozenset({"reply", "parked"})
"""Kinds of wait that are no moment `waiting`: an ordinary step waits for its reply, and `parked` is its own."""

LISTED_MAX = 100
"""Places that one event lists, or a saga of a thousand items would not fit a message."""


class ParkedAt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step that waits for a person."""

    path: str
    kind: Kind
    code: e.ParkCode


class WaitingFor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason, other than the reply of a participant, why the saga is not moving."""

    kind: str
    """As in lists: `timer`, `signal`, `approval`, `child`, `delivery`, `paused`."""
    path: str = ""
    """Of the step, if it is a step that waits."""
    until: datetime | None = None


class LifecycleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a saga."""

    moment: Moment
    saga: str
    name: str
    definition_version: int
    key: str
    """The business key, or the id of the message that started it."""
    root: str
    parent: str | None
    version: int
    """Of the commit: rises, with gaps, from event to event of a saga."""
    position: int
    """Among the moments of the same commit, from 0."""
    at: datetime
    """When it was committed, by the store's clock."""
    status: str
    """After the commit, as in lists."""
    because: str = ""
    """With `compensating`: `failed`, `exhausted`, `cancelled`, `deadline`, `operator`, `parent`."""
    code: str = ""
    """With `compensating`, and with the end of a saga that compensated: the declared failure, if there was one, else
    the same word as `because`."""
    step: str = ""
    """With `compensating`: the step that gave the reason, if one did."""
    parked: tuple[ParkedAt, ...] = ()
    """With `parked`: every step that waits for a person now, up to `LISTED_MAX`, new ones first beyond it."""
    waits: tuple[WaitingFor, ...] = ()
    """With `waiting`: every such reason there is now, in the same way."""
    more: int = 0
    """How many more there are than are listed."""

    @property
    def id(self) -> str:
        """The same whenever it is published: `<saga>:<version>`, and the moment behind it if it is not the first."""
        bare = f"{self.saga}:{self.version}"
        return bare if self.position == 0 else f"{bare}:{self.moment}"


def lifecycle(
    plan: Plan, before: SagaState | None, after: SagaState, commit: tuple[e.AnyEvent, ...], at: datetime
) -> tuple[LifecycleEvent, ...]:
    """The moments of one commit, which leads from `before` (None: nothing) to `after`. Most commits are none."""
    told = list(_moments(plan, before, after, commit))
    status = view(plan, after).status if told else ""
    return tuple(
        LifecycleEvent(
            moment=moment,
            saga=after.saga,
            name=after.name,
            definition_version=after.definition_version,
            key=after.start_key[2:],
            root=after.root,
            parent=after.parent,
            version=after.version,
            position=position,
            at=at,
            status=status,
            **details,
        )
        for position, (moment, details) in enumerate(told)
    )


class Details(TypedDict, total=False):
    """What a moment says beyond what all say."""

    because: str
    code: str
    step: str
    parked: tuple[ParkedAt, ...]
    waits: tuple[WaitingFor, ...]
    more: int


def _moments(
    plan: Plan, before: SagaState | None, after: SagaState, commit: tuple[e.AnyEvent, ...]
) -> Iterator[tuple[Moment, Details]]:
    if before is None:
        yield Moment.STARTED, {}
    stood = {} if before is None else before.parked
    fresh = {path for path, parked in after.parked.items() if stood.get(path) != parked}
    if fresh:
        found = tuple(ParkedAt(path, parked.kind, parked.code) for path, parked in after.parked.items())
        yield Moment.PARKED, {"parked": _listed(found, lambda one: one.path in fresh), "more": _left_out(found)}
    reasons = _reasons(plan, after)
    new = _places(reasons) - _places(() if before is None or not reasons else _reasons(plan, before))
    if new:
        listed = _listed(reasons, lambda one: (one.kind, one.path) in new)
        yield Moment.WAITING, {"waits": listed, "more": _left_out(reasons)}
    if after.phase is Phase.COMPENSATING and (before is None or before.phase is not Phase.COMPENSATING):
        yield Moment.COMPENSATING, _why(commit)
    if after.terminal and (before is None or before.phase is not after.phase):
        yield Moment.ENDED, {"code": after.because_code}


def _reasons(plan: Plan, state: SagaState) -> tuple[WaitingFor, ...]:
    return tuple(
        WaitingFor(wait.kind, wait.path, wait.until) for wait in waits(plan, state) if wait.kind not in UNREMARKABLE
    )


def _places(reasons: tuple[WaitingFor, ...]) -> set[tuple[str, str]]:
    return {(one.kind, one.path) for one in reasons}


Place = TypeVar("Place", ParkedAt, WaitingFor)


def _listed(found: tuple[Place, ...], is_new: Callable[[Place], bool]) -> tuple[Place, ...]:
    """All of them, or what this is told for and then the first of the others."""
    if len(found) <= LISTED_MAX:
        return found
    return tuple(sorted(found, key=lambda one: not is_new(one))[:LISTED_MAX])


def _left_out(found: tuple[Place, ...]) -> int:
    return max(0, len(found) - LISTED_MAX)


def _why(commit: tuple[e.AnyEvent, ...]) -> Details:
    for event in commit:
        if isinstance(event, e.CompensationStarted):
            return {"because": event.because, "code": event.code or event.because, "step": event.path}
    return {}
