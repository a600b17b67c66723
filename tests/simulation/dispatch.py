"""What follows a commit: publish what is outstanding, hear the confirms, and mark what is known to be on the wire."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from saga.core import outstanding as core
from saga.core.children import SERVICE, answer_version
from saga.core.messages import CommandMessage, Kind, ReplyMessage
from saga.core.plan import Plan
from saga.core.state import SagaState, Waiting
from saga.engine.children import reply_of
from tests.simulation.violation import Crash
from tests.simulation.work import Work

if TYPE_CHECKING:
    from tests.simulation.orchestrator import Orchestrator
    from tests.simulation.world import World

MARK_AFTER_SECONDS = 1.0


class _Group:
    """Everything published for one version of a saga."""

    __slots__ = ("missing", "saga", "version")

    def __init__(self, saga: str, version: int, missing: int) -> None:
        self.saga = saga
        self.version = version
        self.missing = missing


class Dispatch:
    """Of one orchestrator."""

    def __init__(self, world: "World", owner: "Orchestrator") -> None:
        self._world = world
        self._owner = owner

    def forget(self) -> None:
        """The process died: nobody waits for its confirms."""

    def publish(self, plan: Plan, state: SagaState, after_version: int) -> None:
        """Send what is outstanding and newer than `after_version`. Raises Crash."""
        due = core.outstanding(plan, state, after_version)
        if not due:
            return
        group = _Group(state.saga, state.version, len(due))
        for one in due:
            self._world.boundary("before a publish")
            self._world.checkers.on_publish(plan, state, one.message)
            heard = partial(self._heard, self._owner.incarnation, group, one.message)
            self._world.broker.publish_command(one.message, heard)

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

    def _heard(self, incarnation: int, group: _Group, message: CommandMessage, what: str) -> None:
        if incarnation != self._owner.incarnation:
            return
        if what == "returned":
            self._owner.offer(Work("undelivered", message.saga, command=message))
            return
        if what != "confirmed":
            return
        if self._is_delayed(message):
            self._owner.offer(Work("delivered", message.saga, command=message))
        group.missing -= 1
        if group.missing == 0:
            self._world.after(MARK_AFTER_SECONDS, self._mark, incarnation, group)

    def _is_delayed(self, message: CommandMessage) -> bool:
        loaded = self._owner.deciding.cached(message.saga)
        step = None if loaded is None else loaded.state.steps.get(message.path)
        if step is None:
            return False
        execution = step.action if message.kind is Kind.ACTION else step.undo
        return execution is not None and execution.waiting is Waiting.DELIVERY

    def _mark(self, incarnation: int, group: _Group) -> None:
        """Only for sagas that still wait; the reply itself proves the rest."""
        loaded = self._owner.deciding.cached(group.saga)
        if incarnation != self._owner.incarnation or loaded is None:
            return
        try:
            self._world.boundary("before the mark")
        except Crash:
            self._owner.die()
            return
        if not loaded.state.terminal and loaded.state.version == group.version:
            self._world.marks["marked as dispatched"] += 1
            self._world.store.dispatched(self._world.store.rows[group.saga], group.version)
