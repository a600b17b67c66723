"""The engine of a run: one saga in virtual time, one hop at a time, over the real core.

The same steps as `saga.engine`, without its batches: decide, commit, publish what is outstanding, set the alarm.
"""

from datetime import datetime, timedelta

from saga.core import events as e
from saga.core import inputs as i
from saga.core.messages import CommandMessage, ReplyMessage
from saga.core.outstanding import next_wake, waits
from saga.core.replies import screen
from saga.core.state import SagaState
from saga.engine.dispatch import Dispatch, dispatch_of
from saga.testing.answers import Sent, address
from saga.testing.network import Flight, Flights
from saga.testing.scripts import Scripts
from saga.testing.story import BEGIN, Story
from saga.testing.world import World

SENDINGS_MAX = 100_000
OTHERS = frozenset({"parked", "paused", "approval", "signal"})
"""Kinds of wait that end when a person or an outside system does something."""


class Engine:
    """One saga, its messages on their way, and those who answer them."""

    def __init__(self, story: Story, scripts: Scripts, world: World, flights: Flights) -> None:
        self.story = story
        self.scripts = scripts
        self.world = world
        self.flights = flights
        self.now = BEGIN
        self.sent: list[Sent] = []
        self.missing: set[str] = set()
        """Services without a queue."""
        self.dies_after = 0
        """The commit after which it dies before it sends anything; it starts again at once. 0: it lives."""
        self._wake_at: datetime | None = None
        self._dispatched = 0

    @property
    def state(self) -> SagaState:
        """The fold of the history."""
        return self.story.state

    def at_rest(self) -> bool:
        """Nothing is on its way, and the saga has ended or only others move it."""
        return self.flights.empty and all(wait.kind in OTHERS for wait in waits(self.story.plan, self.state))

    def move(self, limit: datetime) -> bool:
        """Do what happens next, if it happens by `limit`. Raises RuntimeError for a saga that never comes to rest."""
        arrives_at, wakes_at = self.flights.next_at(), self._wake_at
        moment = min((at for at in (arrives_at, wakes_at) if at is not None), default=None)
        if moment is None or moment > limit:
            return False
        if len(self.sent) > SENDINGS_MAX:
            raise RuntimeError(f"{self.story.title} never comes to rest: {SENDINGS_MAX} commands were sent")
        self.now = max(self.now, moment)
        if moment == arrives_at:
            self._arrive()
        else:
            self.tick()
        return True

    def apply(self, given: i.Input) -> tuple[e.AnyEvent, ...]:
        """Decide, commit, publish what is new: one hop."""
        before = self.state.version if self.story.begun else 0
        events = self.story.apply(given)
        if not events:
            return ()
        self._set_alarm(exactly=isinstance(given, i.Tick))
        if self.state.version != self.dies_after:
            self._publish(dispatch_of(self.story.plan, self.state, before))
        return events

    def tick(self) -> None:
        """Look at the clock; send again what may never have arrived."""
        if not self.apply(i.Tick(now=self.now, dispatched_version=self._dispatched)):
            self._publish(dispatch_of(self.story.plan, self.state, self._dispatched))
            self._set_alarm(exactly=True)

    def _set_alarm(self, *, exactly: bool) -> None:
        """A lower bound, as in the store: it moves only forward, but for a tick, which has just looked."""
        wanted = next_wake(self.story.plan, self.state, self.now, self._dispatched)
        if exactly or self.state.terminal or self.state.paused_at is not None or self._wake_at is None:
            self._wake_at = wanted
        elif wanted is not None:
            self._wake_at = min(self._wake_at, wanted)

    def _publish(self, dispatch: Dispatch | None) -> None:
        if dispatch is None:
            return
        feedback = [said for command, delayed in dispatch.commands if (said := self._send(command, delayed=delayed))]
        if not any(isinstance(said, i.Undelivered) for said in feedback):
            self._dispatched = max(self._dispatched, dispatch.version)
        for said in feedback:
            self.apply(said)

    def _send(self, command: CommandMessage, *, delayed: bool) -> i.Delivered | i.Undelivered | None:
        if command.service in self.missing:
            return i.Undelivered(
                now=self.now,
                path=command.path,
                kind=command.kind,
                execution=command.execution,
                attempt=command.attempt,
                detail=f"no queue for {command.service}",
            )
        sent = Sent(step=address(command.path, command.kind), at=self.now, message=command)
        self.sent.append(sent)
        taken = self.scripts.take(sent)
        flight = Flight(command, taken.answer, taken.reply_lost, taken.reply_after)
        self.flights.send(flight, self.now + taken.command_after, taken.copies)
        if not delayed:
            return None
        return i.Delivered(
            now=self.now,
            path=command.path,
            kind=command.kind,
            execution=command.execution,
            attempt=command.attempt,
        )

    def _arrive(self) -> None:
        flight = self.flights.pop()
        if flight is None:
            return
        if isinstance(flight.message, ReplyMessage):
            rejected = screen(self.story.plan, self.state, flight.message)
            assert rejected is None, f"a scripted participant broke the wire contract: {rejected}"
            self.apply(i.Reply(now=self.now, message=flight.message))
            return
        assert flight.answer is not None, "a command travels with what its participant says"
        reply = self.world.handle(flight.message, flight.answer, self.now)
        if reply is not None and not flight.reply_lost:
            self.flights.send(Flight(reply), self.now + flight.reply_after)


def spell(time: timedelta) -> str:
    """A duration as people say it: `3 days`, `0:02:34`."""
    return str(time).partition(".")[0]
