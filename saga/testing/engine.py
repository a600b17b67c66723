"""The engine of a run: one saga in virtual time, one hop at a time, over the real core.

The same steps as `saga.engine`, without its batches: decide, commit, publish what is outstanding, set the alarm.
"""

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from saga.core import events as e
from saga.core import inputs as i
from saga.core.children import SERVICE, answer_version
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyMessage
from saga.core.outstanding import next_wake
from saga.core.replies import screen
from saga.core.state import SagaState
from saga.engine.cache import Live
from saga.engine.children import asks, genuine, objection, refused, reply_of, start
from saga.engine.dispatch import Dispatch, asking_again, dispatch_of
from saga.engine.start import turned_away
from saga.testing.answers import Played, Sent, address
from saga.testing.network import Flight, Flights
from saga.testing.scripts import Scripts
from saga.testing.story import BEGIN, NotStarted, Story
from saga.testing.world import Applied, World

SENDINGS_MAX = 100_000
OTHERS = frozenset({"parked", "paused", "approval", "signal"})
"""Kinds of wait that end when a person or an outside system does something."""


class Clock:
    """Virtual time, shared by a saga and its sub-sagas."""

    def __init__(self) -> None:
        self.now = BEGIN


class Engine:
    """One saga, its messages on their way, and those who answer them."""

    def __init__(
        self, story: Story, scripts: Scripts, world: World, flights: Flights, parent: "Engine | None" = None
    ) -> None:
        self.story = story
        self.scripts = scripts
        self.world = world
        self.flights = flights
        self.parent = parent
        self.children: dict[str, Child] = {}
        """Sub-sagas that are played, by the key of the command that asked for them."""
        self.clock: Clock = Clock() if parent is None else parent.clock
        self.sent: list[Sent] = []
        self.missing: set[str] = set()
        """Services without a queue."""
        self.dies_after = 0
        """The commit after which it dies before it sends anything; it starts again at once. 0: it lives."""
        self._wake_at: datetime | None = None
        self._dispatched = 0
        self._played: dict[str, Played] = {}

    @property
    def root(self) -> "Engine":
        """The saga above all."""
        return self if self.parent is None else self.parent.root

    @property
    def now(self) -> datetime:
        """Virtual time."""
        return self.clock.now

    @property
    def state(self) -> SagaState:
        """The fold of the history."""
        return self.story.state

    def at_rest(self) -> bool:
        """Nothing is on its way, and the saga has ended or only others move it."""
        asked = (child.state.asked_by for child in self.children.values() if not child.state.terminal)
        played = {("child", asked_by.path) for asked_by in asked if asked_by is not None}
        return (
            self.flights.empty
            and all(wait.kind in OTHERS or (wait.kind, wait.path) in played for wait in self.story.waits)
            and all(child.at_rest() for child in self.children.values())
        )

    def next_at(self) -> datetime | None:
        """When something happens next, here or below."""
        moments = [self.flights.next_at(), self._wake_at, *(child.next_at() for child in self.children.values())]
        return min((at for at in moments if at is not None), default=None)

    def move(self, limit: datetime) -> bool:
        """Do what happens next, if it happens by `limit`. Raises RuntimeError for a saga that never comes to rest."""
        moment = self.next_at()
        if moment is None or moment > limit:
            return False
        if len(self.sent) > SENDINGS_MAX:
            raise RuntimeError(f"{self.story.title} never comes to rest: {SENDINGS_MAX} commands were sent")
        self.clock.now = max(self.now, moment)
        child = next((child for child in self.children.values() if child.next_at() == moment), None)
        if moment == self.flights.next_at():
            self._arrive()
        elif child is not None:
            child.move(limit)
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
        self.committed()
        return events

    def committed(self) -> None:
        """Called after every commit, when what follows was sent."""

    def tick(self) -> None:
        """Look at the clock; send again what may never have arrived."""
        if not self.apply(i.Tick(now=self.now, dispatched_version=self._dispatched)):
            self._publish(dispatch_of(self.story.plan, self.state, self._dispatched))
            self._publish(asking_again(self.story.plan, self.state, self.now))
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
        if taken.answer.plays is not None:
            self._played[command.key] = taken.answer.plays
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
        played = self._played.get(flight.message.undoes or flight.message.key)
        if played is not None:
            hear(self, flight.message, played, lost=flight.reply_lost)
            return
        reply = self.world.handle(flight.message, flight.answer, self.now)
        if reply is not None and not flight.reply_lost:
            self.flights.send(Flight(reply), self.now + flight.reply_after)


class Child(Engine):
    """A sub-saga that is played: in its parent's time, and its end is the answer."""

    def __init__(self, parent: Engine, played: Played) -> None:
        story = Story(played.definition.compiled, played.definition.hash)
        scripts = Scripts(story.plan, played.answers)
        super().__init__(story, scripts, World(story.plan), parent.flights.likewise(), parent)
        self.output: type[Any] = played.definition.output
        self.mute = False
        """Its next answer is lost."""
        self._above = parent
        self._told = 0
        """The commit whose answer its parent was sent last."""

    def committed(self) -> None:
        """Tell the parent how it ended, once for each time it asked."""
        reply = reply_of(self.state)
        if reply is None or answer_version(self.state) <= self._told:
            return
        self._told = self._dispatched = self.state.version
        self._wake_at = None
        effects = self._above.world.effects
        if reply.outcome is Outcome.OK and reply.kind is Kind.ACTION:
            effects[reply.key] = Applied(reply.path, reply.key, None)
        elif reply.outcome is Outcome.OK:
            for key in [key for key, applied in effects.items() if applied.path == reply.path]:
                del effects[key]
        if not self.mute:
            answer_parent(self._above, reply)
        self.mute = False


def hear(parent: Engine, command: CommandMessage, played: Played, *, lost: bool) -> None:
    """A command to a sub-saga: it begins, or hears its parent."""
    key = command.undoes or command.key
    child = parent.children.get(key)
    if child is not None:
        child.mute = lost
        if not child.apply(asks(command, parent.now)) and (reply := reply_of(child.state)) and not lost:
            answer_parent(parent, reply)  # it has ended, and whoever asks again has not heard it
        return
    asked = genuine(command, Live(parent.story.plan, parent.state, parent.state.version))
    refusal = objection(asked, len(parent.children))
    if refusal is not None:
        answer_parent(parent, refused(command, refusal))
        return
    child = parent.children[key] = Child(parent, played)
    child.mute = lost
    saga = f"01930000-0000-7000-8000-{blake2b(key.encode(), digest_size=6).hexdigest()}"
    try:
        child.apply(start(asked, played.definition.hash, saga, parent.now))
    except NotStarted as refused_start:
        del parent.children[key]
        answer_parent(parent, refused(command, turned_away(refused_start.violation)))


def answer_parent(parent: Engine, reply: ReplyMessage) -> None:
    """Put the answer on its way, as one of the engine's own."""
    parent.flights.send(Flight(msgspec.structs.replace(reply, sender=SERVICE)), parent.now)


def spell(time: timedelta) -> str:
    """A duration as people say it: `3 days`, `0:02:34`."""
    return str(time).partition(".")[0]
