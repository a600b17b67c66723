"""What an orchestrator counts: noted while a batch is handled, counted when its answers are on their way.

Nothing is counted before its commit, and nothing on the way to it: a batch leaves facts, and `Measures` folds them into
the tallies once publishing has begun. What a process counted ends with it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from saga.core.codes import code_of
from saga.core.events import AnyEvent
from saga.core.messages import CancelMessage, CommandMessage, DecideMessage, ReplyMessage, ResultKind, SignalMessage
from saga.core.metrics import catalogue as m
from saga.core.metrics.fold import count
from saga.core.metrics.shape import OTHER, Metric
from saga.core.metrics.tally import NONE, Labels, Tallies
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine.backlog import Backlog
from saga.engine.commit import Outcome
from saga.engine.draft import Draft
from saga.engine.receive import QUEUES, Work
from saga.engine.settings import EngineSettings
from saga.ports import Clock, ParkedMessage, Sent
from saga.wire import names

SPOKEN: Final[dict[object, str]] = {
    ReplyMessage: "reply",
    SignalMessage: "signal",
    CancelMessage: "cancel",
    DecideMessage: "decision",
    CommandMessage: "command",
}
"""What messages are called that change nothing."""
ASKED: Final = {names.QUEUE_START: "start", names.QUEUE_SIGNALS: "signal", names.QUEUE_CONTROL: "control"}
"""What callers send, by queue."""
COMMANDS: Final = names.command_queue("")


class Committed(msgspec.Struct, frozen=True, eq=False):
    """One saga of a batch."""

    plan: Plan
    before: SagaState | None
    after: SagaState
    events: tuple[AnyEvent, ...]


class Facts(msgspec.Struct):
    """What a batch leaves to be counted."""

    sagas: list[Committed] = []
    asked_at: float = 0.0
    """When the store was asked to commit, by the monotonic clock."""
    committed_at: float | None = None
    """None when nothing was to be committed."""
    wakes_late: list[timedelta] = []
    counts: list[tuple[Metric, Labels]] = []

    def committed(self, draft: Draft, outcome: Outcome, asked_at: float, committed_at: float) -> None:
        """The store answered: what of the draft is now in the history."""
        self.asked_at, self.committed_at = asked_at, committed_at
        for saga, move in draft.moves.items():
            if saga not in outcome.won:
                self.counts.append((m.CONFLICTS, NONE))
                continue
            self.sagas.append(Committed(move.before.plan, move.before.state, move.decision.state, move.decision.events))
            if move.work.due_at is not None and outcome.now is not None:
                self.wakes_late.append(outcome.now - move.work.due_at)
        for opening in draft.openings.values():
            if opening.new.saga in outcome.won:
                self.sagas.append(Committed(opening.live.plan, None, opening.live.state, opening.events))
        for work in draft.parked:
            self._parked(work)

    def told(self, draft: Draft) -> None:
        """What changed nothing, and what was refused."""
        for work, _ in draft.settled:
            if (spoken := SPOKEN.get(type(work.asks))) is not None:
                self.counts.append((m.DUPLICATES, (spoken,)))
        for work, refusal in draft.refused:
            queue = "" if work.delivery is None else work.delivery.queue
            self.refused(queue, refusal.code)

    def existed(self, code: str) -> None:
        """A start whose saga was there before; with a code it is refused."""
        if code:
            self.refused(names.QUEUE_START, code)
        else:
            self.counts.append((m.DUPLICATES, ("start",)))

    def refused(self, queue: str, code: str) -> None:
        """A caller was told no."""
        self.counts.append((m.REFUSED, (ASKED.get(queue, OTHER), worded(code))))

    def _parked(self, work: Work) -> None:
        if isinstance(work.asks, ParkedMessage):
            self.counts.append((m.MESSAGES_PARKED, (queue_label(work.asks.origin), worded(work.asks.reason))))
        if work.refusal is not None and work.refusal.kind is ResultKind.REFUSED and work.delivery is not None:
            self.refused(work.delivery.queue, work.refusal.code)


class Measures:
    """Folds what batches leave into the tallies; without tallies it counts nothing."""

    def __init__(self, tallies: Tallies | None, clock: Clock) -> None:
        self._tallies = tallies
        self._clock = clock

    def count(self, facts: Facts) -> None:
        """What one batch came to."""
        tallies = self._tallies
        if tallies is None:
            return
        for metric, labels in facts.counts:
            tallies.add(metric, labels)
        for late in facts.wakes_late:
            tallies.observe(m.WAKE_LAG, NONE, late.total_seconds())
        for saga in facts.sagas:
            count(tallies, saga.plan, saga.before, saga.after, saga.events)
        if facts.committed_at is not None:
            tallies.observe(m.COMMIT_DURATION, NONE, facts.committed_at - facts.asked_at)
            tallies.observe(m.COMMIT_SAGAS, NONE, len(facts.sagas))

    def hearing(self, committed_at: float | None) -> Callable[[Sequence[Sent]], None]:
        """What is to be told what became of the commands of a batch that was committed then, if it was."""

        def heard(sent: Sequence[Sent]) -> None:
            if self._tallies is None:
                return
            confirmed = 0
            for each in sent:
                if each.outcome == "confirmed":
                    confirmed += 1
                else:
                    self._tallies.add(m.UNCONFIRMED, (each.outcome,))
            if confirmed and committed_at is not None:
                lag_seconds = self._clock.monotonic() - committed_at
                self._tallies.observe(m.DISPATCH_LAG, NONE, lag_seconds, confirmed)

        return heard


def show_orchestrator(tallies: Tallies, backlog: Backlog, settings: EngineSettings) -> None:
    """What an orchestrator process is like now."""
    tallies.show(m.IN_FLIGHT, lambda: {NONE: float(backlog.in_flight)})
    tallies.show(m.IN_FLIGHT_MAX, lambda: {NONE: float(settings.max_in_flight)})
    tallies.show(m.STARTS_WAITING, lambda: {NONE: float(backlog.starts_waiting)})


def queue_label(origin: str) -> str:
    """A queue as a label: what stands in a parked message may be anybody's word, so only our own names are shown."""
    if origin in QUEUES:
        return origin
    return COMMANDS.rstrip(".") if origin.startswith(COMMANDS) else OTHER


def worded(code: str) -> str:
    """A code as a label: a word of the catalogue, or `other`."""
    found = code_of(code)
    return OTHER if found is None else found.word or OTHER


def age_seconds(since: datetime, now: datetime) -> float:
    """Never below 0: clocks of two machines disagree."""
    return max((now - since).total_seconds(), 0.0)
