"""Something an orchestrator has to decide on: where it came from, and the input it becomes."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from saga.core import inputs as i
from saga.core.messages import CommandMessage, ReplyMessage
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine import children
from tests.simulation.broker import Delivery
from tests.simulation.callers import Ask

if TYPE_CHECKING:
    from tests.simulation.world import World

Make = Callable[[datetime, Plan, SagaState], i.Input | None]
"""An operator's request, made of what is on the screen at that moment; None: it is pointless now."""


class Work:
    """One thing to decide on."""

    __slots__ = ("again", "ask", "command", "delivery", "make", "reply", "saga", "verb")

    def __init__(
        self,
        verb: str,
        saga: str,
        *,
        delivery: Delivery | None = None,
        command: CommandMessage | None = None,
        make: Make | None = None,
    ) -> None:
        self.verb = verb
        self.saga = saga
        self.delivery = delivery
        self.command = command
        self.make = make
        self.again = make is not None
        """Whether somebody asks again when the process dies."""
        message = None if delivery is None else delivery.message
        self.reply = message if isinstance(message, ReplyMessage) else None
        self.ask = message if isinstance(message, Ask) else None

    def given(self, now: datetime, dispatched: int, plan: Plan, state: SagaState) -> i.Input | None:
        """The input for the core."""
        if self.reply is not None:
            return i.Reply(now=now, message=self.reply)
        if self.make is not None:
            return self.make(now, plan, state)
        if self.ask is not None:
            return i.Cancel(now=now, request=self.ask.request, by="caller", actor=None, reason="changed my mind")
        command = self.command
        if command is None:
            return i.Tick(now=now, dispatched_version=dispatched)
        if self.verb == "undelivered":
            return i.Undelivered(
                now=now,
                path=command.path,
                kind=command.kind,
                execution=command.execution,
                attempt=command.attempt,
                detail=f"no queue for {command.service}",
            )
        return i.Delivered(
            now=now, path=command.path, kind=command.kind, execution=command.execution, attempt=command.attempt
        )

    def answered(self, world: "World", verdict: str, saga: str) -> None:
        """Tell the caller, if one asked."""
        if self.ask is not None:
            world.callers.answer(self.ask, verdict, saga)


def work_of(world: "World", delivery: Delivery) -> Work:
    """What a delivery asks for."""
    message = delivery.message
    if isinstance(message, ReplyMessage):
        return Work("reply", message.saga, delivery=delivery)
    if isinstance(message, CommandMessage):
        return Work("child", children.key_of(message)[1], delivery=delivery, command=message)
    assert isinstance(message, Ask)
    if message.verb == "start":
        return Work("start", message.key, delivery=delivery)
    return Work("cancel", world.store.keys.get(message.key, ""), delivery=delivery)


def saga_id(world: "World") -> str:
    """A new one, made of the world's time and chance."""
    milliseconds = 1_767_225_600_000 + int(world.now * 1_000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{world.random.getrandbits(48):012x}"


def started(world: "World", ask: Ask, plan: Plan, now: datetime) -> i.Start:
    """The start of a saga with an id of its own."""
    return i.Start(
        now=now,
        saga=saga_id(world),
        name=plan.definition.name,
        start_key=ask.key,
        definition=plan.hash,
        input=ask.input,
        message_id=ask.request,
    )
