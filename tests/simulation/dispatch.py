"""What follows a commit: publish what is outstanding, hear the confirms, and mark what is known to be on the wire."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from saga.core import outstanding as core
from saga.core.children import SERVICE, answer_version
from saga.core.messages import CommandMessage, ReplyMessage
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine import dispatch as engine
from saga.engine.children import reply_of
from tests.simulation.violation import Crash
from tests.simulation.work import Work

if TYPE_CHECKING:
    from tests.simulation.deciding import Entry
    from tests.simulation.orchestrator import Orchestrator
    from tests.simulation.world import World

MARK_AFTER_SECONDS = 1.0


class _Group:
    """Everything published together for a saga."""

    __slots__ = ("missing", "saga", "version")

    def __init__(self, asked: engine.Dispatch) -> None:
        self.saga = asked.saga
        self.version = asked.version
        self.missing = len(asked.commands)


class Dispatch:
    """Of one orchestrator. What is sent, and what that proves, is the engine's own rule: `wanted`."""

    def __init__(self, world: "World", owner: "Orchestrator") -> None:
        self._world = world
        self._owner = owner
        self._confirmed: dict[str, int] = {}
        self._unsettled: dict[str, int] = {}

    def forget(self) -> None:
        """The process died: nobody waits for its confirms."""
        self._confirmed, self._unsettled = {}, {}

    def known(self, saga: str, stored: int) -> int:
        """What is on the broker for certain: as the row says, or as this process saw confirmed."""
        return max(stored, self._confirmed.get(saga, 0))

    def follow(self, entry: "Entry") -> None:
        """After a commit. A reply proves that everything up to the one before was dispatched: nothing is to be written
        down. Raises Crash."""
        write = entry.write
        if entry.work.reply is not None and entry.sending.proven:
            self._unsettled.pop(write.saga, None)
            self._confirmed[write.saga] = self.known(write.saga, write.expected_version)
        self.publish(write.plan, write.state, entry.sending.dispatch)
        self.answer(write.state)

    def publish(self, plan: Plan, state: SagaState, asked: engine.Dispatch | None) -> None:
        """Send what a state asks for. Raises Crash."""
        if asked is None:
            return
        group = _Group(asked)
        for message, delayed in asked.commands:
            self._world.boundary("before a publish")
            self._world.checkers.on_publish(plan, state, message)
            heard = partial(self._heard, self._owner.incarnation, group, message, delayed=delayed)
            self._world.broker.publish_command(message, heard)

    def ask_again(self, plan: Plan, state: SagaState, now: datetime) -> None:
        """Sub-sagas that are waited for since long, and what a service did not know. Raises Crash."""
        for command in core.asked_again(plan, state, now):
            self._world.boundary("before a publish")
            what = "a child" if command.service == SERVICE else "an unknown command"
            self._world.marks[f"{what} is asked again without a record"] += 1
            self._world.checkers.on_publish(plan, state, command)
            self._world.broker.publish_command(command, lambda _what: None)

    def answer(self, state: SagaState) -> None:
        """Tell the parent of a child that has ended. Raises Crash."""
        reply = reply_of(state)
        if reply is None:
            return
        self._world.boundary("before an answer to a parent")
        row, version = self._world.store.rows[state.saga], answer_version(state)
        incarnation = self._owner.incarnation

        def known(what: str) -> None:
            if what == "confirmed" and incarnation == self._owner.incarnation:
                self._world.store.dispatched(row, version)

        self._world.broker.publish_reply(msgspec.structs.replace(reply, sender=SERVICE), known)

    def reply(self, reply: ReplyMessage) -> None:
        """Tell a parent what concerns one delivery only."""
        sent = msgspec.structs.replace(reply, sender=SERVICE)
        self._world.broker.publish_reply(sent, lambda _what: None)

    def _heard(self, incarnation: int, group: _Group, message: CommandMessage, what: str, *, delayed: bool) -> None:
        if incarnation != self._owner.incarnation:
            return
        if what == "returned":
            self._owner.offer(Work("undelivered", message.saga, command=message))
            return
        if what != "confirmed":
            return
        if delayed:
            self._owner.offer(Work("delivered", message.saga, command=message))
        group.missing -= 1
        if group.missing == 0 and self._confirmed.get(group.saga, 0) < group.version:
            self._confirmed[group.saga] = self._unsettled[group.saga] = group.version
            self._world.after(MARK_AFTER_SECONDS, self._mark, incarnation, group)

    def _mark(self, incarnation: int, group: _Group) -> None:
        """Only for sagas that still wait; the reply itself proves the rest."""
        if incarnation != self._owner.incarnation or self._unsettled.get(group.saga) != group.version:
            return
        try:
            self._world.boundary("before the mark")
        except Crash:
            self._owner.die()
            return
        del self._unsettled[group.saga]
        self._world.marks["marked as dispatched"] += 1
        self._world.store.dispatched(self._world.store.rows[group.saga], group.version)
