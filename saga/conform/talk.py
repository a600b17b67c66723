"""The orchestrator's part of the conversation: sends commands, sorts what comes back, looks at every reply."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Self

import msgspec

from saga.conform.report import Broken
from saga.conform.sight import outcome_of, violations
from saga.conform.target import Target, filled
from saga.core import identity
from saga.core.errors import Unavailable
from saga.core.messages import CommandMessage, Kind, Outcome
from saga.ports import Bus, Clock, Delivery, Ids, Outgoing, Subscription
from saga.wire import command_to_wire, fields, names

PREFETCH = 1_000
AGAIN_SECONDS = 0.05
"""Before what was answered `retry` is asked again, where the answer names no time."""
AWAY_SECONDS = 0.5
"""Between looks for a broker that is away."""
SAGA_NAME = "conform"

Restart = Callable[[], Awaitable[None]]
"""Ends the participant, as a crash would, and starts it again."""


class Silent(Broken):
    """No answer came."""


class Box:
    """What came back about one attempt. A redelivered command may be answered twice, also much later."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[Delivery] = asyncio.Queue()
        self.parked: asyncio.Queue[Delivery] = asyncio.Queue()


class Talk:
    """A conversation with one participant. Every rule is tried in sagas of its own, so that none disturbs another."""

    def __init__(self, bus: Bus, target: Target, *, clock: Clock, ids: Ids, restart: Restart | None = None) -> None:
        self.target = target
        self.restart: Restart = restart or _no_restart
        self.violations: dict[str, tuple[str, Delivery]] = {}
        """By rule, of those that every reply is looked at for: the first one found."""
        self.replies_count = 0
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._boxes: dict[str, Box] = {}
        self._sent: dict[str, Outgoing] = {}
        self._answered: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._strangers = 0
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for queue in (names.QUEUE_REPLIES, names.QUEUE_PARKING):
                subscription = await self._bus.consume(queue, PREFETCH)
                self._open.push_async_callback(subscription.close)
                sorting = asyncio.create_task(self._sort(subscription))
                self._open.push_async_callback(_ended, sorting)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # ------------------------------------------------------------------------------------------------------- commands

    def action(self, body: bytes | None = None) -> CommandMessage:
        """A new execution, with a key nobody has seen."""
        saga = self._ids.saga()
        return self._command(saga, Kind.ACTION, self.target.command, self.target.body if body is None else body)

    def undo_of(self, action: CommandMessage, outcome: str) -> CommandMessage:
        """The compensation of an action, of which the engine knows `ok` or nothing (`unknown`)."""
        kind, body = self.target.undo or "", self.target.undo_body or b""
        undo = self._command(action.saga, Kind.COMPENSATION, kind, body)
        return msgspec.structs.replace(undo, undoes=action.key, undoes_outcome=outcome)

    def again(self, command: CommandMessage) -> CommandMessage:
        """The next attempt of the same execution."""
        attempt = self._attempts[command.key] = self._attempts.get(command.key, 1) + 1
        return msgspec.structs.replace(command, attempt=attempt, message_id=identity.attempt_id(command.key, attempt))

    def ago(self, duration: timedelta) -> datetime:
        """A time in the past."""
        return self._clock.now() - duration

    # ---------------------------------------------------------------------------------------------- asking and hearing

    async def ask(self, command: CommandMessage) -> Delivery:
        """The answer to this attempt; while it is `retry`, that to the next. Raises Silent."""
        give_up_at = self._clock.monotonic() + self.target.patience.total_seconds()
        while True:
            await self.send(command_to_wire(command))
            reply = await self.reply(command)
            if outcome_of(reply) != Outcome.RETRY:
                return reply
            if self._clock.monotonic() > give_up_at:
                raise Broken("it is answered `retry` again and again", reply)
            after = fields.milliseconds(reply, names.RETRY_AFTER_MS) if not reply.defects else None
            await self._clock.sleep(after.total_seconds() if after else AGAIN_SECONDS)
            command = self.again(command)

    async def send(self, *messages: Outgoing) -> None:
        """Publish. Raises Unavailable when the broker does not take one, with the fix."""
        for message in messages:
            self._sent[message.message_id] = message
            self._boxes.setdefault(message.message_id, Box())
        for message, sent in zip(messages, await self._bus.publish(messages), strict=True):
            if sent.outcome == "returned":
                queue = names.command_queue(self.target.service)
                raise Unavailable(
                    f"no queue takes {message.routing_key}. "
                    f"Fix: saga topology apply --service {self.target.service} declares {queue}"
                )
            if sent.outcome != "confirmed":
                raise Unavailable(f"{message.routing_key} was not sent, {sent.outcome}: {sent.detail}")

    async def reply(self, command: CommandMessage) -> Delivery:
        """The next reply to an attempt. Raises Silent."""
        return await self._next(self._boxes[command.message_id].replies, f"no answer on {names.QUEUE_REPLIES}")

    async def parked(self, message: Outgoing) -> Delivery:
        """What the participant put aside of a message. Raises Silent."""
        box = self._boxes[message.message_id]
        return await self._next(box.parked, f"nothing was parked on {names.QUEUE_PARKING}")

    async def _next(self, box: asyncio.Queue[Delivery], nothing: str) -> Delivery:
        try:
            async with asyncio.timeout(self.target.patience.total_seconds()):
                return await box.get()
        except TimeoutError:
            seconds = self.target.patience.total_seconds()
            strangers = f"; {self._strangers} messages there name no saga of ours" if self._strangers else ""
            raise Silent(f"{nothing} within {seconds:g} s{strangers}") from None

    # -------------------------------------------------------------------------------------------------------- receiving

    async def _sort(self, subscription: Subscription) -> None:
        """Put each delivery into its box. What is not ours stays in its queue, unsettled."""
        while True:
            try:
                deliveries = await subscription.receive()
            except Unavailable:
                await self._clock.sleep(AWAY_SECONDS)  # the adapter comes back; whoever waits for an answer gives up
                continue
            ours = [delivery for delivery in deliveries if self._take(delivery)]
            self._strangers += len(deliveries) - len(ours)
            await subscription.settle(ours)

    def _take(self, delivery: Delivery) -> bool:
        command = self._command_of(delivery)
        if command is None:
            return False
        box = self._boxes[command.message_id]
        if delivery.queue == names.QUEUE_PARKING:
            box.parked.put_nowait(delivery)
            return True
        self.replies_count += 1
        self._answered.add(command.message_id)
        for rule, reason in violations(delivery, command, self.target.service):
            self.violations.setdefault(rule, (reason, delivery))
        box.replies.put_nowait(delivery)
        return True

    def _command_of(self, delivery: Delivery) -> Outgoing | None:
        """What a message is about, also when it does not echo all it should: then what fits best of its saga."""
        for message_id in (delivery.headers.get(names.IN_REPLY_TO, ""), delivery.message_id):
            if message_id in self._sent:
                return self._sent[message_id]
        key = delivery.headers.get(names.IDEMPOTENCY_KEY)
        about = [
            command
            for command in self._sent.values()
            if command.correlation_id == delivery.correlation_id or command.headers.get(names.IDEMPOTENCY_KEY) == key
        ]
        return max(about, key=lambda command: self._fit(command, delivery), default=None)

    def _fit(self, command: Outgoing, delivery: Delivery) -> tuple[int, bool]:
        """How well a command fits: by the addresses that are echoed, and by having no answer yet."""
        echoed = (names.IDEMPOTENCY_KEY, names.ATTEMPT, names.KIND)
        same = sum(command.headers.get(name) == delivery.headers.get(name) for name in echoed)
        return same, command.message_id not in self._answered

    def _command(self, saga: str, kind: Kind, type_name: str, body: bytes) -> CommandMessage:
        service, name, version = fields.command_type(type_name)
        path = f"conform/{kind}"
        key = identity.idempotency_key(saga, path, kind, 1)
        return CommandMessage(
            saga=saga,
            saga_name=SAGA_NAME,
            saga_version=1,
            business_key=saga,
            path=path,
            kind=kind,
            execution=1,
            attempt=1,
            service=service,
            command=name,
            command_version=version,
            message_id=identity.attempt_id(key, 1),
            key=key,
            body=filled(body, unique_of(saga)),
            traceparent=identity.traceparent(saga, key[:16]),
        )


def unique_of(saga: str) -> str:
    """What `$UNIQUE` is in the bodies of a saga: its action and its compensation speak of the same thing."""
    return f"conform-{saga.rpartition('-')[2]}"


def wires(commands: Sequence[CommandMessage]) -> list[Outgoing]:
    """The messages of several commands."""
    return [command_to_wire(command) for command in commands]


async def _no_restart() -> None:
    raise AssertionError("the rule `restart` is tried only where there is a way to restart")


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
