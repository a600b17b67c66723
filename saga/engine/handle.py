"""The step that decides: a batch of work in, one commit, and what is to be published and acknowledged out.

Nothing is published and nothing is acknowledged before its commit. A saga takes part once a batch; what else arrived
for it waits for the next one. Whoever loses a race is read again and decided again.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from saga.core import events
from saga.core.decide import Decision, decide
from saga.core.inputs import Cancel, Delivered, Reply, Tick, Undelivered
from saga.core.messages import CancelMessage, ReplyMessage, ResultKind, ResultMessage, StartMessage
from saga.core.outstanding import next_wake, view
from saga.core.replies import screen
from saga.core.state import SagaState
from saga.engine.cache import Live, SagaCache
from saga.engine.commit import commit_all
from saga.engine.dispatch import Dispatch, Dispatches, dispatch_of
from saga.engine.receive import Work, park
from saga.engine.settings import EngineSettings
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.ports import Advance, Batch, Delivery, Journal, NewSaga, ParkedMessage, Wakes

log = logging.getLogger("saga.engine")


class Hop(msgspec.Struct):
    """What a batch leaves to do once its commit is durable."""

    dispatches: list[Dispatch] = []
    answers: list[ResultMessage] = []
    done: list[Delivery] = []
    again: list[Work] = []


class Move(msgspec.Struct, frozen=True, eq=False):
    """A decision about one saga, on its way into the commit."""

    work: Work
    before: Live
    decision: Decision


class Draft(msgspec.Struct):
    """A batch in the making."""

    moves: dict[str, Move] = {}
    starts: dict[str, tuple[Work, NewSaga, Live]] = {}
    parked: list[ParkedMessage] = []
    parked_works: list[Work] = []
    rearm: dict[str, tuple[int, datetime | None]] = {}


class Handler:
    """Decides batches of work over one store."""

    def __init__(  # noqa: PLR0917 - the ports of the hot path, each once
        self,
        journal: Journal,
        wakes: Wakes,
        cache: SagaCache,
        starts: Starts,
        dispatches: Dispatches,
        clock: StoreClock,
        settings: EngineSettings,
    ) -> None:
        self._journal = journal
        self._wakes = wakes
        self._cache = cache
        self._starts = starts
        self._dispatches = dispatches
        self._clock = clock
        self._settings = settings

    async def handle(self, works: Sequence[Work]) -> Hop:
        """Decide and commit. Raises Unavailable when the store is away: nothing of the batch may be settled then."""
        hop, draft = Hop(), Draft()
        works = [await self._starts.addressed(work) for work in works]
        live = await self._cache.current(work.saga for work in works if work.saga)
        for work in works:
            await self._draft(work, live, draft, hop)
        await self._commit(draft, hop)
        if draft.rearm:
            await self._wakes.rearm(draft.rearm)
        return hop

    async def _draft(self, work: Work, live: dict[str, Live], draft: Draft, hop: Hop) -> None:
        asks = work.asks
        if isinstance(asks, ParkedMessage):
            self._park(work, draft)
        elif isinstance(asks, StartMessage):
            await self._draft_start(work, asks, draft, hop)
        elif work.saga not in live:
            self._unknown(work, draft)
        elif work.saga in draft.moves:
            hop.again.append(work)
        else:
            try:
                self._decide(work, live[work.saga], draft, hop)
            except Exception as error:  # noqa: BLE001 - whatever it is, one bad saga must not stop the others
                self._quarantine(work, error, draft)

    async def _draft_start(self, work: Work, asks: StartMessage, draft: Draft, hop: Hop) -> None:
        drafted = await self._starts.draft(work, asks, self._clock.now())
        if isinstance(drafted, Work):
            self._park(drafted, draft)
            return
        new, live = drafted
        if any((other.name, other.start_key) == (new.name, new.start_key) for _, other, _ in draft.starts.values()):
            hop.again.append(work)
            return
        draft.starts[new.saga] = (work, new, live)

    def _decide(self, work: Work, before: Live, draft: Draft, hop: Hop) -> None:
        given = self._input(work, before)
        if isinstance(given, Work):
            self._park(given, draft)
            return
        decision = decide(before.plan, before.state, given)
        if decision.events:
            draft.moves[work.saga] = Move(work, before, decision)
            return
        if isinstance(given, Tick):
            self._look_again(before, given, draft, hop)
        self._finish(work, before, hop)

    def _input(self, work: Work, before: Live) -> Reply | Cancel | Tick | Undelivered | Delivered | Work:
        now = self._clock.now()
        match work.asks:
            case ReplyMessage() as reply:
                rejected = screen(before.plan, before.state, reply)
                if rejected is None:
                    return Reply(now=now, message=reply)
                if work.delivery is None:
                    raise AssertionError("a reply comes by delivery")
                return park(work.delivery, rejected.code, rejected.detail)
            case CancelMessage() as cancel:
                actor = cancel.actor if cancel.sender in self._settings.gateways else None
                by = cancel.sender or "unknown"
                return Cancel(now=now, request=cancel.message_id, by=by, actor=actor, reason=cancel.reason)
            case Undelivered() | Delivered() as feedback:
                return msgspec.structs.replace(feedback, now=now)
            case _:
                dispatched = max(before.dispatched_version, self._dispatches.confirmed_version(work.saga))
                return Tick(now=now, dispatched_version=dispatched)

    def _look_again(self, live: Live, given: Tick, draft: Draft, hop: Hop) -> None:
        """Nothing was due: send what may never have arrived, and set the alarm anew."""
        state = live.state
        resend = dispatch_of(live.plan, state, after_version=given.dispatched_version)
        if resend is not None:
            hop.dispatches.append(resend)
        draft.rearm[state.saga] = (
            state.version,
            next_wake(live.plan, state, self._clock.now(), given.dispatched_version),
        )

    async def _commit(self, draft: Draft, hop: Hop) -> None:
        if not (draft.moves or draft.starts or draft.parked):
            return
        batch = Batch(
            starts=[new for _, new, _ in draft.starts.values()],
            advances=[self._advance(move) for move in draft.moves.values()],
            parked=draft.parked,
        )
        committed = await commit_all(self._journal, batch)
        self._clock.learn(committed.now)
        hop.done += [work.delivery for work in draft.parked_works if work.delivery is not None]
        hop.answers += [work.refusal for work in draft.parked_works if work.refusal is not None]
        advances = {advance.saga: advance for advance in batch.advances}
        for saga, move in draft.moves.items():
            if saga in committed.sagas:
                self._won(move, advances[saga], hop)
            else:
                self._cache.forget(saga)
                hop.again.append(move.work)
        for saga, (work, _, live) in draft.starts.items():
            if saga in committed.sagas:
                self._started(work, self._cache.keep(saga, live), hop)
        lost = [(work, new) for saga, (work, new, _) in draft.starts.items() if saga not in committed.sagas]
        for work, answers in await self._starts.answer_known(lost):
            hop.answers += answers
            if work.delivery is not None:
                hop.done.append(work.delivery)

    def _advance(self, move: Move) -> Advance:
        before, after = move.before, move.decision.state
        return Advance(
            saga=after.saga,
            expected_version=before.state.version,
            cause=_cause(move.work),
            data=events.encode(move.decision.events),
            view=view(before.plan, after),
            wake_at=self._wake_at(before, after, ticked=move.work.asks is None),
        )

    def _wake_at(self, before: Live, after: SagaState, *, ticked: bool) -> datetime | msgspec.UnsetType | None:
        """Written only when something is due earlier than the row says, after a claim, and at the end."""
        if after.terminal or after.paused_at is not None:
            return None
        wanted = next_wake(before.plan, after, self._clock.now(), before.dispatched_version)
        if ticked:
            return wanted
        if wanted is None or (before.wake_at is not None and before.wake_at <= wanted):
            return msgspec.UNSET
        return wanted

    def _won(self, move: Move, advance: Advance, hop: Hop) -> None:
        before, state = move.before, move.decision.state
        wake_at = before.wake_at if isinstance(advance.wake_at, msgspec.UnsetType) else advance.wake_at
        live = self._cache.keep(state.saga, Live(before.plan, state, wake_at, before.dispatched_version))
        self._dispatches.moved_on(state.saga)
        dispatch = dispatch_of(before.plan, state, after_version=before.state.version)
        if dispatch is not None:
            hop.dispatches.append(dispatch)
        if state.terminal and not before.state.terminal and state.reply_to:
            hop.answers.append(ended(state))
        self._finish(move.work, live, hop)

    def _started(self, work: Work, live: Live, hop: Hop) -> None:
        state = live.state
        dispatch = dispatch_of(live.plan, state, after_version=0)
        if dispatch is not None:
            hop.dispatches.append(dispatch)
        if state.reply_to:
            hop.answers.append(accepted(state.reply_to, state.message_id, state.saga, existing=False))
            if state.terminal:
                hop.answers.append(ended(state))
        if work.delivery is not None:
            hop.done.append(work.delivery)

    def _finish(self, work: Work, live: Live, hop: Hop) -> None:
        """The work is settled: acknowledge it, and tell a caller who asked for a cancel."""
        if isinstance(work.asks, ReplyMessage):
            self._dispatches.answered()
        if isinstance(work.asks, CancelMessage) and work.asks.reply_to:
            hop.answers.append(_cancel_answer(work.asks, live.state))
        if work.delivery is not None:
            hop.done.append(work.delivery)

    def _unknown(self, work: Work, draft: Draft) -> None:
        if work.delivery is None:
            return  # a tick or feedback of a saga that is gone
        self._park(park(work.delivery, "unknown-saga", f"no saga {work.saga or 'with that key'} in this store"), draft)

    def _park(self, work: Work, draft: Draft) -> None:
        if not isinstance(work.asks, ParkedMessage):
            raise TypeError(f"{work.asks!r} is not to be parked")
        draft.parked.append(work.asks)
        draft.parked_works.append(work)

    def _quarantine(self, work: Work, error: Exception, draft: Draft) -> None:
        """A defect of ours: the saga stays as it is, the message is kept, everybody else goes on."""
        log.error("a saga could not be decided on", exc_info=error, extra={"saga": work.saga})
        self._cache.forget(work.saga)
        if work.delivery is not None:
            self._park(park(work.delivery, "engine-defect", f"{type(error).__name__}: {error}"), draft)


def accepted(reply_to: str, in_reply_to: str, saga: str, *, existing: bool) -> ResultMessage:
    """A start is acknowledged by this."""
    return ResultMessage(
        kind=ResultKind.ACCEPTED, reply_to=reply_to, in_reply_to=in_reply_to, saga=saga, existing=existing
    )


def ended(state: SagaState, reply_to: str = "", in_reply_to: str = "") -> ResultMessage:
    """How a saga ended, for whoever started it."""
    return ResultMessage(
        kind=ResultKind.ENDED,
        reply_to=reply_to or state.reply_to,
        in_reply_to=in_reply_to or state.message_id,
        saga=state.saga,
        status=str(state.phase),
        reason=state.because,
        code=state.because_code,
        output=state.output,
    )


def _cancel_answer(cancel: CancelMessage, state: SagaState) -> ResultMessage:
    counts = state.cancel_counts or state.phase == "compensating"
    kind = ResultKind.ACCEPTED if counts and not state.terminal else ResultKind.REFUSED
    code, reason = "", ""
    if kind is ResultKind.REFUSED:
        code = "ended" if state.terminal else "too-late"
        reason = (
            f"the saga has ended: {state.phase}" if state.terminal else "the pivot has passed: it only goes forward"
        )
    return ResultMessage(
        kind=kind,
        reply_to=cancel.reply_to,
        in_reply_to=cancel.message_id,
        saga=state.saga,
        existing=True,
        code=code,
        reason=reason,
    )


def _cause(work: Work) -> str:
    match work.asks:
        case ReplyMessage() as reply:
            return f"reply {reply.service}.{reply.outcome} to {reply.path} {reply.in_reply_to}"
        case CancelMessage() as cancel:
            return f"cancel {cancel.message_id} by {cancel.sender}"
        case Undelivered() | Delivered() as feedback:
            return f"broker {type(feedback).__name__.lower()} {feedback.path}"
        case _:
            return "tick"
