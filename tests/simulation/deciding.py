"""Load, screen, decide: what an orchestrator does between taking an input and committing it."""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from saga.core import events as e
from saga.core import inputs as i
from saga.core import outstanding as core
from saga.core import replies
from saga.core.bounds import RESEND_AFTER
from saga.core.children import unanswered_since
from saga.core.decide import Decision, decide
from saga.core.errors import ProtocolViolation
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine import children
from saga.engine import dispatch as engine
from saga.engine.cache import Live
from saga.engine.operate import is_to_be_looked_at
from tests.simulation.store import Write
from tests.simulation.work import Work, saga_id, started

if TYPE_CHECKING:
    from tests.simulation.orchestrator import Orchestrator
    from tests.simulation.world import World


class Loaded(msgspec.Struct, frozen=True):
    """A saga as this process knows it."""

    plan: Plan
    state: SagaState
    dispatched: int
    wake_at: datetime | None


class Entry(msgspec.Struct, frozen=True):
    """One decided input on its way into the store."""

    work: Work
    write: Write
    sending: engine.Wanted
    """What it sends, and what that proves."""


class Deciding:
    """Of one orchestrator, with its cache."""

    def __init__(self, world: "World", owner: "Orchestrator") -> None:
        self._world = world
        self._owner = owner
        self._cache: dict[str, Loaded] = {}
        self.blind = world.random.random() < world.faults.blind_cache
        """Whether the cache is believed without a look at the store."""

    def forget(self, saga: str | None = None) -> None:
        """One saga that lost a race, or everything: the process died."""
        if saga is None:
            self._cache = {}
        else:
            self._cache.pop(saga, None)

    def keep(self, write: Write) -> None:
        """What was just committed is the newest there is."""
        row = self._world.store.rows[write.saga]
        self._cache[write.saga] = Loaded(write.plan, write.state, row.dispatched, row.wake_at)

    def load(self, saga: str, *, fresh: bool = False) -> Loaded | None:
        """A saga as it stands, or, with a blind cache, as it once stood."""
        row = self._world.store.rows.get(saga)
        if row is None:
            return None
        known = self._cache.get(saga)
        if known is not None and self.blind and not fresh:
            return known
        self._owner.heard_from_store()
        if known is not None and row.version > known.state.version:
            self._world.marks["tail read"] += 1
        # The fold of the stored bytes is this very state: checked at the end of every run, where it costs less.
        loaded = self._cache[saga] = Loaded(row.plan, row.state, row.dispatched, row.wake_at)
        return loaded

    def decide(self, work: Work) -> Entry | None:
        """The commit an input leads to; None when there is nothing to write."""
        if work.verb == "start":
            return self._begin(work)
        if work.verb == "child":
            return self._child(work)
        entry = self._decide_on(work, self.load(work.saga))
        if entry is None and self.blind and "trusts-stale-cache" not in self._world.broken:
            # An old state may only lead to a commit, which the store checks; nobody checks an acknowledgement.
            entry = self._decide_on(work, self.load(work.saga, fresh=True))
        return entry

    def _decide_on(self, work: Work, loaded: Loaded | None) -> Entry | None:
        if loaded is None:
            return None
        plan, state = loaded.plan, loaded.state
        if work.reply is not None and (rejection := replies.screen(plan, state, work.reply)) is not None:
            self._world.marks[f"turned away: {rejection.code}"] += 1
            return None
        given = work.given(self._owner.now(), self._known(loaded), plan, state)
        if given is None:
            return None
        decision = decide(plan, state, given)
        if not decision.events:
            self._world.marks[f"nothing follows: {work.verb}"] += 1
            if work.verb == "tick":
                self._look_again(loaded)
            work.answered(self._world, "accepted", work.saga)
            return None
        return self._entry(work, loaded, given, decision)

    def _entry(self, work: Work, loaded: Loaded, given: i.Input, decision: Decision) -> Entry:
        """As the engine moves a saga."""
        write = self._write(loaded, given, decision.events, decision.state)
        if work.make is not None:
            return _operated(work, write)
        known, ticked = self._known(loaded), isinstance(given, i.Tick)
        since = known if ticked else loaded.state.version
        return Entry(work, write, engine.wanted(loaded.plan, decision.state, since, known, undelivered=ticked))

    def _known(self, loaded: Loaded) -> int:
        return self._owner.dispatch.known(loaded.state.saga, loaded.dispatched)

    def _begin(self, work: Work) -> Entry | None:
        world, ask = self._world, work.ask
        assert ask is not None
        saga = world.store.keys.get(ask.key)
        if saga is not None and "no-unique-start" not in world.broken:
            same = world.store.rows[saga].input == ask.input
            world.marks["start again" if same else "start again, other bytes"] += 1
            work.answered(world, "accepted" if same else "refused", saga)
            return None
        plan = world.workload.sagas[ask.plan_index].plan
        given = started(world, ask, plan, self._owner.now())
        decision = decide(plan, None, given)
        wake_at = min(given.now + RESEND_AFTER, core.next_wake(plan, decision.state, given.now, 0) or given.now)
        write = Write(
            given.saga,
            0,
            plan,
            ask.key,
            e.encode(decision.events),
            decision.events,
            given,
            self._owner.name,
            decision.state,
            wake_at,
        )
        return Entry(work, write, _first_sending(write))

    def _child(self, work: Work) -> Entry | None:
        """A parent's command: the engine is the participant."""
        world, command = self._world, work.command
        assert command is not None
        parent = self.load(command.saga, fresh=True)
        if parent is None:
            return None
        try:
            asked = children.genuine(command, Live(parent.plan, parent.state, parent.dispatched))
        except ProtocolViolation as violation:
            world.marks[f"turned away: {violation.code}"] += 1
            return None
        key = children.key_of(command)[1]
        saga = world.store.keys.get(key)
        if saga is not None:
            return self._heard(work, saga, children.asks(command, self._owner.now()))
        refusal = children.objection(asked, 0)
        if refusal is not None:
            world.marks[f"child refused: {refusal.code}"] += 1
            self._owner.dispatch.reply(children.refused(command, refusal))
            return None
        plan = world.child_plan(command.command)
        given = children.start(asked, plan.hash, saga_id(world), self._owner.now())
        world.marks["child tombstoned" if given.tombstone else "child started"] += 1
        write = self._first(plan, key, given, decide(plan, None, given))
        return Entry(work, write, _first_sending(write))

    def _heard(self, work: Work, saga: str, given: i.ParentAsks) -> Entry | None:
        """A child that is there hears its parent; one that has ended says so again."""
        loaded = self.load(saga, fresh=True)
        assert loaded is not None
        decision = decide(loaded.plan, loaded.state, given)
        if decision.events:
            return self._entry(work, loaded, given, decision)
        self._world.marks["child asked again"] += 1
        self._owner.dispatch.answer(loaded.state)
        return None

    def _first(self, plan: Plan, key: str, given: i.Start, decision: Decision) -> Write:
        wake = core.next_wake(plan, decision.state, given.now, 0)
        wake_at = None if wake is None else min(given.now + RESEND_AFTER, wake)
        data, state = e.encode(decision.events), decision.state
        return Write(given.saga, 0, plan, key, data, decision.events, given, self._owner.name, state, wake_at)

    def _write(self, loaded: Loaded, given: i.Input, events: tuple[e.AnyEvent, ...], state: SagaState) -> Write:
        wake_at = core.next_wake(loaded.plan, state, given.now, loaded.dispatched)
        return Write(
            state.saga,
            loaded.state.version,
            loaded.plan,
            state.start_key,
            e.encode(events),
            events,
            given,
            self._owner.name,
            state,
            wake_at,
            loaded.wake_at,
        )

    def _look_again(self, loaded: Loaded) -> None:
        """A wake that found nothing due: send again what never arrived for certain, and set the alarm anew."""
        now, state, known = self._owner.now(), loaded.state, self._known(loaded)
        row = self._world.store.rows[state.saga]
        if unanswered_since(state, known) is not None:
            self._world.marks["child answers again"] += 1
            self._owner.dispatch.answer(state)
        resend = engine.dispatch_of(loaded.plan, state, after_version=known)
        if resend is not None and resend.commands:
            self._world.marks["re-dispatch"] += 1
            self._owner.dispatch.publish(loaded.plan, state, resend)
        self._owner.dispatch.ask_again(loaded.plan, state, now)
        self._world.store.rearm(row, state.version, core.next_wake(loaded.plan, state, now, known))


def _operated(work: Work, write: Write) -> Entry:
    """An operator's process sends nothing, but lets the alarm ring."""
    now = write.given.now
    wake_at = now if is_to_be_looked_at(write.plan, write.state, now) else None
    return Entry(work, msgspec.structs.replace(write, wake_at=wake_at), engine.Wanted(None, proven=False))


def _first_sending(write: Write) -> engine.Wanted:
    return engine.wanted(write.plan, write.state, 0, 0, undelivered=True)
