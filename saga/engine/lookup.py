"""Looking at one saga: what its history means, and why it waits. Only reads."""

from datetime import datetime

import msgspec

from saga.core.address import template
from saga.core.bounds import CHILD_DEPTH_MAX
from saga.core.compensation import standing
from saga.core.nearing import tags_of
from saga.core.outstanding import view, waits
from saga.core.pending import ApprovalDetail, pending
from saga.core.state import Execution, SagaState
from saga.cost import Cost, added
from saga.engine.cache import Live, SagaCache
from saga.engine.catalog import Catalog
from saga.ports import Clock, ParkedFilter, SagaFilter, SagaRow, Store

PARKED_LOOKED_AT_MAX = 100
CHILDREN_SHOWN_MAX = 500
ENDED = frozenset({"completed", "compensated", "abandoned"})


class ExecutionDetail(msgspec.Struct, frozen=True):
    """What was asked once."""

    execution: int
    attempts: int
    outcome: str
    """`ok`, `failed`, or `unknown`."""
    waiting: str
    issued_at: datetime
    code: str = ""
    effect: str = ""


class StepDetail(msgspec.Struct, frozen=True):
    """One step that was reached."""

    path: str
    """In an item `seats[2]/add`, in a turn `draft#3/write`."""
    state: str
    """`open`, `ok`, `failed`, `unknown`, `undoing`, `undone`, `parked`."""
    action: ExecutionDetail
    undo: ExecutionDetail | None
    parked: str


class WaitDetail(msgspec.Struct, frozen=True):
    """One reason why the saga is not moving."""

    kind: str
    path: str
    text: str
    until: datetime | None
    code: str = ""
    """The word behind it, as `saga errors` explains it; nothing while all is well."""


class ParkedNote(msgspec.Struct, frozen=True):
    """A message about a saga that could not be used: what the saga waits for may be in it."""

    id: int
    reason: str
    detail: str


class ChildDetail(msgspec.Struct, frozen=True):
    """A sub-saga, at any depth."""

    place: str
    """The steps that lead to it, with `/` between them."""
    saga: str
    name: str
    definition_version: int
    status: str
    waits_for: str
    parked: tuple[str, ...] = ()
    """Its steps that stand in front of an operator."""
    cost: Cost = {}
    """What its own answers told."""
    costs_unreadable: int = 0


class SagaDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A saga, for people and as stable JSON."""

    saga: str
    name: str
    definition_version: int
    definition: str
    key: str
    status: str
    phase: str
    paused: bool
    version: int
    started_at: datetime
    deadline_at: datetime
    because: str
    waits: tuple[WaitDetail, ...]
    parked_messages: tuple[ParkedNote, ...]
    """Of an open saga, unsettled, one for each reason, among the newest of the store."""
    steps: tuple[StepDetail, ...]
    """In the order written, those of an item or a turn together: `seats[0]/add`, `seats[0]/tell`, `seats[1]/add`."""
    not_begun: tuple[str, ...]
    """Steps of the definition that were not reached, in no item and no turn."""
    tags: dict[str, str]
    output: msgspec.Raw | None
    root: str
    parent: str | None
    children: tuple[ChildDetail, ...]
    """Below it, at any depth, the oldest first; at most `CHILDREN_SHOWN_MAX`."""
    cost: Cost
    """What its own answers told that their work cost, exactly, by unit."""
    costs_unreadable: int
    """Answers whose cost could not be read: it is in no sum."""
    cost_with_children: Cost
    """The same, and that of every sub-saga below it that is listed here."""
    approvals: tuple[ApprovalDetail, ...]
    """Its own and those of its children that somebody can decide on now."""


async def read_live(store: Store, clock: Clock, saga: str) -> Live | None:
    """The state of one saga, read whole. Raises Unavailable."""
    cache = SagaCache(store, Catalog(store, clock), sagas_max=1)
    return (await cache.current([saga])).get(saga)


async def describe(store: Store, clock: Clock, saga: str) -> SagaDetail | None:
    """Everything to be said about one saga; None when the store does not have it. Raises Unavailable."""
    cache = SagaCache(store, Catalog(store, clock), sagas_max=CHILDREN_SHOWN_MAX + 1)
    live = (await cache.current([saga])).get(saga)
    if live is None:
        return None
    state = live.state
    parked = () if state.terminal else await _parked(store, saga)
    begun = [step.path for step in standing(state, live.plan.definition.blocks)]
    reached = {template(path) for path in begun}
    not_begun = tuple(path for path in live.plan.steps if path not in reached)
    below = await _below(store, cache, live)
    return SagaDetail(
        saga=state.saga,
        name=state.name,
        definition_version=state.definition_version,
        definition=state.definition,
        key=state.start_key[2:],
        status=view(live.plan, state).status,
        phase=str(state.phase),
        paused=state.paused_at is not None,
        version=state.version,
        started_at=state.started_at,
        deadline_at=state.deadline_at,
        because=state.because,
        waits=tuple(WaitDetail(w.kind, w.path, w.text, w.until, w.code) for w in waits(live.plan, state)),
        parked_messages=parked,
        steps=tuple(_step(state, path) for path in begun),
        not_begun=not_begun,
        tags=tags_of(state),
        output=msgspec.Raw(state.output) if state.output else None,
        root=state.root,
        parent=state.parent,
        children=tuple(_child(place, child) for place, child in below),
        cost=state.cost,
        costs_unreadable=state.costs_unreadable,
        cost_with_children=added((state.cost, *(child.state.cost for _, child in below))),
        approvals=tuple(
            found for place, each in [((), live), *below] for found in pending(each.plan, each.state, place)
        ),
    )


async def needed_below(store: Store, clock: Clock, row: SagaRow) -> str:
    """What below a listed root stands in front of a person, by the steps that lead there; nothing when nothing does.

    Raises Unavailable.
    """
    if row.parent is not None or row.status in ENDED:
        return ""
    first = SagaFilter(root=row.saga, oldest_first=True, limit=1)
    found = await store.sagas(msgspec.structs.replace(first, statuses=("parked",)))
    found = found or await store.sagas(msgspec.structs.replace(first, wait_kind="approval"))
    detail = await describe(store, clock, row.saga) if found else None
    child = next((child for child in detail.children if child.saga == found[0].saga), None) if detail else None
    return "" if child is None else f"{child.place} {child.status}: {child.waits_for}"


async def _parked(store: Store, saga: str) -> tuple[ParkedNote, ...]:
    rows = await store.parked(ParkedFilter(settled=False), limit=PARKED_LOOKED_AT_MAX)
    about = {(row.message.reason, row.message.detail): row.id for row in rows if row.message.correlation_id == saga}
    return tuple(ParkedNote(number, reason, detail) for (reason, detail), number in about.items())


async def _below(store: Store, cache: SagaCache, live: Live) -> list[tuple[tuple[str, ...], Live]]:
    """Every sub-saga with the steps that lead to it from this one."""
    top = live.state
    rows = await store.sagas(SagaFilter(root=top.root, limit=CHILDREN_SHOWN_MAX, oldest_first=True))
    lives = await cache.current([row.saga for row in rows]) if rows else {}
    places: dict[str, tuple[str, ...]] = {top.saga: ()}
    for _ in range(CHILD_DEPTH_MAX):
        for row in rows:
            child = lives.get(row.saga)
            asked = None if child is None else child.state.asked_by
            if asked is not None and asked.saga in places:
                places[row.saga] = (*places[asked.saga], asked.path)
    return [(place, lives[saga]) for saga, place in places.items() if saga != top.saga]


def _child(place: tuple[str, ...], child: Live) -> ChildDetail:
    state, shown = child.state, view(child.plan, child.state)
    return ChildDetail(
        "/".join(place),
        state.saga,
        state.name,
        state.definition_version,
        shown.status,
        shown.wait_text,
        tuple(state.parked),
        state.cost,
        state.costs_unreadable,
    )


def _step(state: SagaState, path: str) -> StepDetail:
    step = state.steps[path]
    parked = state.parked.get(path)
    outcome = step.action.outcome
    if parked is not None:
        text = "parked"
    elif step.undone:
        text = "undone"
    elif step.undo is not None and step.undo.undoes == step.action.number:
        text = "undoing"
    elif outcome is None:
        text = "unknown" if state.phase != "running" or step.action.exhausted else "open"
    else:
        text = str(outcome)
    undo = None if step.undo is None else _execution(step.undo)
    return StepDetail(path, text, _execution(step.action), undo, "" if parked is None else parked.text)


def _execution(execution: Execution) -> ExecutionDetail:
    return ExecutionDetail(
        execution.number,
        execution.attempt,
        str(execution.outcome or "unknown"),
        "" if execution.outcome is not None else str(execution.waiting),
        execution.issued_at,
        execution.code,
        str(execution.effect) if execution.outcome is not None else "",
    )
