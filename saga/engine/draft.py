"""Drafting: what a batch of work comes to, one saga at a time, before anything is written.

A saga takes part once a batch; what else arrived for it waits for the next one. One bad saga, or one bad message, is
set aside and the others go on.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from saga.core import events
from saga.core.about import Fields, of_saga
from saga.core.address import template
from saga.core.children import SERVICE
from saga.core.decide import Decision, decide
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Delivered, ParentAsks, Refusal, Reply, Tick, Undelivered
from saga.core.messages import (
    CommandMessage,
    ReplyMessage,
    ResultMessage,
    SignalMessage,
    StartMessage,
    ToSaga,
)
from saga.core.outstanding import next_wake, view
from saga.core.plan import Plan
from saga.core.replies import screen
from saga.core.state import SagaState, Waiting
from saga.engine import children, said
from saga.engine.cache import Found, Live
from saga.engine.dispatch import Dispatch, Dispatches, Wanted, answering, asking_again, dispatch_of, wanted
from saga.engine.receive import ENGINE_DEFECT, Work, park
from saga.engine.settings import EngineSettings
from saga.engine.start import Opening, Starts
from saga.engine.time import StoreClock
from saga.ports import Advance, ParkedMessage
from saga.wire import Poison

log = logging.getLogger("saga.engine")


Plans = Mapping[tuple[str, int | None], Plan | str]


class Move(msgspec.Struct, frozen=True, eq=False):
    """A decision about one saga, on its way into the commit."""

    work: Work
    before: Live
    decision: Decision
    advance: Advance
    sending: Wanted


class Draft(msgspec.Struct):
    """A batch in the making."""

    moves: dict[str, Move] = {}
    """By saga."""
    openings: dict[tuple[str, str], Opening] = {}
    """By name and start key: one batch can start a saga once."""
    parked: list[Work] = []
    rearm: dict[str, tuple[int, datetime | None]] = {}
    resends: list[Dispatch] = []
    settled: list[tuple[Work, Live]] = []
    """Work that changes nothing."""
    refused: list[tuple[Work, ResultMessage]] = []
    """What somebody said that does not count, and what they hear of it."""
    early: list[Work] = []
    """Signals that came before their saga."""
    turned_away: list[tuple[ReplyMessage, Work]] = []
    """Commands of parents that cannot be carried out now."""
    later: list[Work] = []


class Desk:
    """Drafts batches of work."""

    def __init__(self, starts: Starts, dispatches: Dispatches, clock: StoreClock, settings: EngineSettings) -> None:
        self._starts = starts
        self._dispatches = dispatches
        self._clock = clock
        self._trust = settings.trust
        self._engine = settings.trust.orchestrators | {dispatches.user}
        self._hold = timedelta(seconds=settings.hold_seconds)

    async def draft(self, works: Sequence[Work], found: Found) -> Draft:
        """Everything these works come to. Raises Unavailable."""
        draft = Draft()
        plans = await self._starts.plans(_wanted(works))
        for work in works:
            try:
                if isinstance(work.asks, CommandMessage) and not work.saga:
                    self._begin_child(work, work.asks, found, plans, draft)
                else:
                    self._take(work, found, plans, draft)
            except ProtocolViolation as violation:
                self._set_aside(work, violation.code, violation.detail, draft)
            except Exception as error:
                log.exception("a saga could not be decided on", extra=_about(work, found))
                self._set_aside(work, ENGINE_DEFECT, f"{type(error).__name__}: {error}", draft)
        return draft

    def _begin_child(self, work: Work, command: CommandMessage, found: Found, plans: Plans, draft: Draft) -> None:
        """A parent asks for a child that is not there."""
        asked = children.genuine(command, _parent(command, found))
        plan = plans.get((command.command, command.command_version))
        root = asked.parent.state.root
        opening = self._starts.open_child(work, asked, plan, found.below.get(root, 0), self._clock.now())
        if isinstance(opening, Refusal):
            draft.turned_away.append((children.refused(command, opening), work))
        else:
            found.below[root] = found.below.get(root, 0) + 1
            _open(work, opening, draft)

    def _take(self, work: Work, found: Found, plans: Plans, draft: Draft) -> None:
        asks = work.asks
        if isinstance(asks, ParkedMessage):
            draft.parked.append(work)
        elif isinstance(asks, StartMessage):
            opening = self._starts.open(work, asks, plans.get((asks.name, asks.version)), self._clock.now())
            _open(work, opening, draft)
        elif work.saga in draft.moves:
            draft.later.append(work)
        elif work.saga in found.live:
            if isinstance(asks, CommandMessage):
                children.genuine(asks, _parent(asks, found))
            self._decide(work, found.live[work.saga], draft)
        elif work.saga in found.unreadable:
            raise ProtocolViolation(ENGINE_DEFECT, f"its saga cannot be read: {found.unreadable[work.saga]}")
        elif isinstance(asks, SignalMessage) and (held := self._held(work)) is not None:
            draft.early.append(held)
        else:
            raise ProtocolViolation(Poison.UNKNOWN_SAGA, f"no saga {work.saga or 'with that key'} in this store")

    def _held(self, work: Work) -> Work | None:
        """A signal may be faster than the start of its saga; None when it has waited long enough."""
        now = self._clock.now()
        until = work.hold_until or now + self._hold
        return msgspec.structs.replace(work, hold_until=until) if now < until else None

    def _decide(self, work: Work, before: Live, draft: Draft) -> None:
        given = self._input(work, before)
        if isinstance(work.asks, ToSaga) and isinstance(given, said.Said):
            refusal = said.objection(before.plan, before.state, given)
            if refusal is not None:
                self._refuse(work, work.asks, refusal, draft)
                return
        decision = decide(before.plan, before.state, given)
        if decision.events:
            draft.moves[work.saga] = self._move(work, before, decision)
            return
        if isinstance(given, Tick):
            self._look_again(before, given, draft)
        elif isinstance(given, ParentAsks) and (told := answering(before.state)) is not None:
            draft.resends.append(told)  # whoever asks again has not heard it
        draft.settled.append((work, before))

    def _refuse(self, work: Work, asks: ToSaga, refusal: Refusal, draft: Draft) -> None:
        """Whoever can hear it is told; what nobody hears of is kept."""
        if not asks.reply_to:
            raise ProtocolViolation(refusal.code, refusal.text)
        draft.refused.append((work, said.refused(asks, work.saga, refusal)))

    def _input(self, work: Work, before: Live) -> Reply | Tick | Undelivered | Delivered | ParentAsks | said.Said:
        """What happened to the saga. Raises ProtocolViolation for a reply to nothing it ever asked, and for what its
        sender may not say."""
        now = self._clock.now()
        match work.asks:
            case ReplyMessage() as reply:
                rejected = screen(before.plan, before.state, reply, engine=self._engine)
                if rejected is not None:
                    raise ProtocolViolation(rejected.code, rejected.detail)
                return Reply(now=now, message=reply)
            case ToSaga() as message:
                return said.input_of(message, before.state, self._trust, now)
            case CommandMessage() as command:
                return children.asks(command, now)
            case Undelivered() | Delivered() as feedback:
                return msgspec.structs.replace(feedback, now=now)
            case _:
                return Tick(now=now, dispatched_version=self._dispatched_version(before))

    def _move(self, work: Work, before: Live, decision: Decision) -> Move:
        after = decision.state
        advance = Advance(
            saga=after.saga,
            expected_version=before.state.version,
            cause=_cause(work),
            data=events.encode(decision.events),
            view=view(before.plan, after),
            wake_at=self._wake_at(before, after),
            # Between reading the row and this commit another process may have set an earlier alarm: it must survive.
            # Only a claimed saga is ours to set anew, and one that ends or is paused has no alarm.
            only_earlier=work.asks is not None and not after.terminal and after.paused_at is None,
        )
        known, ticked = self._dispatched_version(before), work.asks is None
        since = known if ticked else before.state.version
        sending = wanted(before.plan, after, since, known, undelivered=ticked)
        return Move(work, before, decision, advance, sending)

    def _wake_at(self, before: Live, after: SagaState) -> datetime | None:
        """When to look again at the latest; None when only an arrival or a person moves the saga, and at its end."""
        return next_wake(before.plan, after, self._clock.now(), before.dispatched_version)

    def _look_again(self, live: Live, given: Tick, draft: Draft) -> None:
        """Nothing was due: send what may never have arrived, and set the alarm anew."""
        state, known = live.state, given.dispatched_version
        resend = dispatch_of(live.plan, state, after_version=known)
        again = asking_again(live.plan, state, given.now)
        draft.resends += [dispatch for dispatch in (resend, again) if dispatch is not None]
        draft.rearm[state.saga] = (state.version, next_wake(live.plan, state, self._clock.now(), known))

    def _dispatched_version(self, live: Live) -> int:
        """What is on the broker for certain: as the row says, or as this process saw confirmed."""
        return max(live.dispatched_version, self._dispatches.confirmed_version(live.state.saga))

    def _set_aside(self, work: Work, code: str, detail: str, draft: Draft) -> None:
        """The message is kept with the reason, the saga stays as it is. An alarm rings again by itself."""
        if work.delivery is not None:
            draft.parked.append(park(work.delivery, code, detail, work.asks))


def open_count(plan: Plan, state: SagaState) -> int:
    """Commands of this saga that participants have not answered. A child takes as long as it takes: it is none."""
    if state.terminal:
        return 0
    steps = [step for path, step in state.steps.items() if plan.steps[template(path)].command.service != SERVICE]
    executions = (execution for step in steps for execution in (step.action, step.undo))
    return sum(1 for each in executions if each is not None and each.waiting is Waiting.REPLY)


def _wanted(works: Sequence[Work]) -> Iterator[tuple[str, int | None]]:
    """The definitions that new sagas of a batch run on."""
    for work in works:
        if isinstance(work.asks, StartMessage):
            yield work.asks.name, work.asks.version
        elif isinstance(work.asks, CommandMessage) and not work.saga:
            yield work.asks.command, work.asks.command_version


def _about(work: Work, found: Found) -> Fields:
    live = found.live.get(work.saga)
    return of_saga(work.saga) if live is None else of_saga(live.state.saga, live.state.root, live.state.name)


def _parent(command: CommandMessage, found: Found) -> Live:
    parent = found.live.get(command.saga)
    if parent is None:
        raise ProtocolViolation(Poison.UNKNOWN_SAGA, f"no parent {command.saga} in this store")
    return parent


def _open(work: Work, opening: Opening, draft: Draft) -> None:
    key = (opening.new.name, opening.new.start_key)
    if key in draft.openings:
        draft.later.append(work)
    else:
        draft.openings[key] = opening


def _cause(work: Work) -> str:
    match work.asks:
        case ReplyMessage() as reply:
            return f"reply {reply.service}.{reply.outcome} to {reply.path} {reply.in_reply_to}"
        case ToSaga() as message:
            return said.described(message)
        case CommandMessage() as command:
            return f"parent's {command.kind} {command.path} {command.message_id}"
        case Undelivered() | Delivered() as feedback:
            return f"broker {type(feedback).__name__.lower()} {feedback.path}"
        case _:
            return "tick"
