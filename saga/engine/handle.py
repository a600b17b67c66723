"""The step that decides: a batch of work in, one commit, and what is to be published and acknowledged out.

Nothing is published and nothing is acknowledged before its commit. Whoever loses a race is read again and decided
again.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from saga.core.about import Fields, of_saga
from saga.core.errors import SchemaMismatch, Unavailable
from saga.core.events import AnyEvent
from saga.core.messages import CommandMessage, ReplyMessage, ResultMessage, StartMessage, ToSaga
from saga.core.nearing import warnings
from saga.core.state import SagaState
from saga.engine import children, said
from saga.engine.answers import accepted, ended, key_reused
from saga.engine.cache import Found, Live, SagaCache
from saga.engine.commit import Outcome, commit_all
from saga.engine.dispatch import Dispatch, Dispatches, dispatch_of
from saga.engine.draft import Desk, Draft, Move, open_count
from saga.engine.measures import Facts
from saga.engine.receive import ENGINE_DEFECT, Work, park
from saga.engine.start import Opening
from saga.engine.time import StoreClock
from saga.ports import Batch, Delivery, Journal, Known, Wakes
from saga.wire import Poison
from saga.wire.callers import BY_KEY

log = logging.getLogger("saga.engine")


class Records(Journal, Wakes, Protocol):
    """What of a store the hot path uses."""


class Hop(msgspec.Struct):
    """What a batch leaves to do once its commit is durable."""

    dispatches: list[Dispatch] = []
    answers: list[ResultMessage] = []
    done: list[Delivery] = []
    again: list[Work] = []
    early: list[Work] = []
    """To be looked at again when their saga may have come."""
    turned_away: list[tuple[ReplyMessage, Work]] = []
    """Commands of parents that cannot be carried out now; acknowledged when their answer is on the broker."""
    opened: int = 0
    """Commands that began to wait for an answer in this commit, less those that no longer do."""
    answered: int = 0
    """Sagas with open commands of which one was answered."""
    facts: Facts = msgspec.field(default_factory=Facts)
    """To be counted."""


class Handler:
    """Decides batches of work over one store."""

    def __init__(
        self, records: Records, cache: SagaCache, desk: Desk, dispatches: Dispatches, clock: StoreClock
    ) -> None:
        self._records = records
        self._cache = cache
        self._desk = desk
        self._dispatches = dispatches
        self._clock = clock

    async def handle(self, works: Sequence[Work]) -> Hop:
        """Decide and commit. Raises Unavailable or SchemaMismatch when the store cannot be used: nothing of the batch
        may be settled then, and all of it may be handled again."""
        works = await self._addressed(works)
        found = await self._cache.read(_read_for(works))
        found.below = await self._below(works, found)
        draft = await self._desk.draft(works, found)
        hop = Hop(again=draft.later, early=draft.early, dispatches=draft.resends, turned_away=draft.turned_away)
        await self._commit(draft, hop)
        _unchanged(draft, hop)
        await self._rearm(draft)
        return hop

    async def give_up(self, work: Work, error: Exception) -> Hop:
        """Park what no batch can hold, for a defect of ours. Raises what `handle` raises."""
        if work.delivery is None:
            return Hop()
        return await self.handle([park(work.delivery, ENGINE_DEFECT, f"{type(error).__name__}: {error}")])

    async def _addressed(self, works: Sequence[Work]) -> list[Work]:
        """The same work with each saga's id: callers may name a saga by its business key, a parent knows only the
        key of its command."""
        keys = {id(work): key for work in works if not work.saga and (key := _key(work.asks)) is not None}
        if not keys:
            return list(works)
        known = await self._records.find(list(dict.fromkeys(keys.values())))
        return [
            msgspec.structs.replace(work, saga=found.saga)
            if id(work) in keys and (found := known.get(keys[id(work)])) is not None
            else work
            for work in works
        ]

    async def _below(self, works: Sequence[Work], found: Found) -> dict[str, int]:
        """How many sagas there are below the roots of children that may begin."""
        asked = (work.asks for work in works if isinstance(work.asks, CommandMessage) and not work.saga)
        roots = {found.live[each.saga].state.root for each in asked if each.saga in found.live}
        return await self._records.count_children(sorted(roots)) if roots else {}

    async def _commit(self, draft: Draft, hop: Hop) -> None:
        if not (draft.moves or draft.openings or draft.parked):
            return
        batch = Batch(
            starts=[opening.new for opening in draft.openings.values()],
            advances=[move.advance for move in draft.moves.values()],
            parked=[work.asks for work in draft.parked],  # type: ignore[misc]  # only these are put there
        )
        asked = self._clock.asked()
        outcome = await commit_all(self._records, batch)
        if outcome.now is not None:
            self._clock.learn(outcome.now, asked)
        hop.facts.committed(draft, outcome, asked, self._clock.asked())
        hop.done += [work.delivery for work in draft.parked if work.delivery is not None]
        hop.answers += [work.refusal for work in draft.parked if work.refusal is not None]
        for saga, move in draft.moves.items():
            if saga in outcome.won:
                self._won(move, hop)
            else:
                self._cache.forget(saga)
                self._lost(move.work, move.before.state, outcome, hop)
        await self._opened(draft, outcome, hop)

    def _won(self, move: Move, hop: Hop) -> None:
        before, state = move.before, move.decision.state
        _warn(before.state, state, move.decision.events)
        live = self._cache.keep(Live(before.plan, state, before.dispatched_version))
        was_open = open_count(before.plan, before.state)
        hop.opened += open_count(before.plan, state) - was_open
        if isinstance(move.work.asks, ReplyMessage):
            hop.answered += was_open > 0
            if move.sending.proven:
                self._dispatches.answered(state.saga, before.state.version)
        if move.sending.dispatch is not None:
            hop.dispatches.append(move.sending.dispatch)
        if state.terminal and not before.state.terminal and state.reply_to:
            hop.answers.append(ended(state))
        _finish(move.work, before, live, hop)

    def _lost(self, work: Work, state: SagaState, outcome: Outcome, hop: Hop) -> None:
        """Again, unless the store will never take what it leads to: then its message is kept and the saga stays."""
        refused = outcome.refused.get(state.saga)
        if refused is None:
            hop.again.append(work)
            return
        log.error("the store refuses what a saga came to; it stays as it is", extra=_about(state) | {"text": refused})
        if work.delivery is not None:
            detail = f"the store refuses what it leads to: {refused}"
            hop.again.append(park(work.delivery, ENGINE_DEFECT, detail, work.asks))

    async def _opened(self, draft: Draft, outcome: Outcome, hop: Hop) -> None:
        lost: list[Opening] = []
        for opening in draft.openings.values():
            if opening.new.saga in outcome.won:
                self._started(opening, hop)
            elif opening.new.saga in outcome.refused:
                self._lost(opening.work, opening.live.state, outcome, hop)
            else:
                lost.append(opening)
        if not lost:
            return
        try:
            await self._answer_existing(lost, hop)
        except (Unavailable, SchemaMismatch):
            # The commit is durable and what follows from it must not be lost: only these are asked again.
            hop.again += [opening.work for opening in lost]

    def _started(self, opening: Opening, hop: Hop) -> None:
        live = self._cache.keep(opening.live)
        state = live.state
        _warn(None, state, opening.events)
        hop.opened += open_count(live.plan, state)
        dispatch = dispatch_of(live.plan, state, after_version=0)
        if dispatch is not None:
            hop.dispatches.append(dispatch)
        if state.reply_to:
            hop.answers.append(accepted(state.reply_to, state.message_id, state.saga, existing=False))
            if state.terminal:
                hop.answers.append(ended(state))
        if opening.work.delivery is not None:
            hop.done.append(opening.work.delivery)

    async def _answer_existing(self, lost: Sequence[Opening], hop: Hop) -> None:
        """Tell those whose saga existed before. A start that lost without a winner is tried again."""
        known = await self._records.find([(each.new.name, each.new.start_key) for each in lost])
        same = {each.saga for each in known.values() if each.status in TERMINAL_STATUSES}
        over = await self._cache.current(same)
        for opening in lost:
            existing = known.get((opening.new.name, opening.new.start_key))
            if existing is None or isinstance(opening.asks, CommandMessage):
                hop.again.append(opening.work)  # a child that is there by now hears its parent
            else:
                _existed(opening, opening.asks, existing, over.get(existing.saga), hop)

    async def _rearm(self, draft: Draft) -> None:
        """Alarms of sagas where nothing was due. If it fails their lease runs out and they are looked at again."""
        if not draft.rearm:
            return
        try:
            await self._records.rearm(draft.rearm)
        except (Unavailable, SchemaMismatch) as error:
            log.warning("alarms could not be set anew", extra={"sagas": len(draft.rearm), "reason": str(error)})


TERMINAL_STATUSES = frozenset({"completed", "compensated", "abandoned"})


def _key(asks: object) -> tuple[str, str] | None:
    """Name and start key of the saga it is about, where the id is not known."""
    if isinstance(asks, CommandMessage):
        return children.key_of(asks)
    if isinstance(asks, ToSaga):
        return asks.name or "", BY_KEY + (asks.business_key or "")
    return None


def _read_for(works: Sequence[Work]) -> Iterator[str]:
    """The sagas these works are about, and the parents of those that are asked for."""
    for work in works:
        if work.saga:
            yield work.saga
        if isinstance(work.asks, CommandMessage):
            yield work.asks.saga


def _warn(before: SagaState | None, after: SagaState, recorded: Sequence[AnyEvent]) -> None:
    for text in warnings(before, after, recorded):
        log.warning("a saga nears a limit", extra=_about(after) | {"limit": text})


def _about(state: SagaState) -> Fields:
    return of_saga(state.saga, state.root, state.name)


def _unchanged(draft: Draft, hop: Hop) -> None:
    """What led to no event, and what was refused."""
    for work, live in draft.settled:
        _finish(work, live, live, hop)
    for work, refusal in draft.refused:
        hop.answers.append(refusal)
        hop.done += [work.delivery] if work.delivery is not None else []
    hop.facts.told(draft)


def _finish(work: Work, before: Live, after: Live, hop: Hop) -> None:
    """The work is settled: acknowledge it, and tell a caller who wants to hear of it."""
    if isinstance(work.asks, ToSaga) and work.asks.reply_to:
        hop.answers.append(said.heard(work.asks, after.plan, before.state, after.state))
    if work.delivery is not None:
        hop.done.append(work.delivery)


def _existed(opening: Opening, asks: StartMessage, existing: Known, over: Live | None, hop: Hop) -> None:
    delivery, code = opening.work.delivery, ""
    if existing.input_hash != opening.new.input_hash:
        refusal = key_reused(asks, opening.new.start_key, existing)
        if not asks.reply_to and delivery is not None:
            hop.again.append(park(delivery, Poison.KEY_REUSED, refusal.reason))  # nobody hears it: keep it
            return
        hop.answers.append(refusal)
        code = refusal.code
    elif asks.reply_to:
        hop.answers.append(accepted(asks.reply_to, asks.message_id, existing.saga, existing=True))
        if over is not None and over.state.terminal:
            hop.answers.append(ended(over.state, asks.reply_to, asks.message_id))
    hop.facts.existed(code)
    if delivery is not None:
        hop.done.append(delivery)
