"""The orchestrator's part of the conversation: makes commands, sends them, waits for what comes back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Self

import msgspec

from saga.conform.report import Broken
from saga.conform.sight import outcome_of
from saga.conform.sorting import Sorting
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


class Talk:
    """A conversation with one participant. Every rule is tried in sagas of its own, so that none disturbs another."""

    def __init__(self, bus: Bus, target: Target, *, clock: Clock, ids: Ids, restart: Restart | None = None) -> None:
        self.target = target
        self.restart: Restart = restart or _no_restart
        self.sorting = Sorting(target.service)
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._attempts: dict[str, int] = {}
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
            self.sorting.expect(message)
        for message, sent in zip(messages, await self._bus.publish(messages), strict=True):
            if sent.outcome == "returned":
                queue = names.command_queue(self.target.service)
                raise Unavailable(
                    f"no queue takes {message.routing_key}. "
                    f"Fix: saga topology apply --service {self.target.service} declares {queue}",
                    code="SAGA-4005",
                )
            if sent.outcome != "confirmed":
                raise Unavailable(f"{message.routing_key} was not sent, {sent.outcome}: {sent.detail}")

    async def reply(self, command: CommandMessage) -> Delivery:
        """The next reply to an attempt. Raises Silent."""
        return await self._next(self.sorting.box(command.message_id).replies, f"no answer on {names.QUEUE_REPLIES}")

    async def parked(self, message: Outgoing) -> Delivery:
        """What the participant put aside of a message. Raises Silent."""
        box = self.sorting.box(message.message_id).parked
        return await self._next(box, f"nothing was parked on {names.QUEUE_PARKING}")

    async def _next(self, box: asyncio.Queue[Delivery], nothing: str) -> Delivery:
        try:
            async with asyncio.timeout(self.target.patience.total_seconds()):
                return await box.get()
        except TimeoutError:
            seconds = self.target.patience.total_seconds()
            count = self.sorting.strangers_count
            strangers = f"; {count} messages there name no saga of ours" if count else ""
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
            await subscription.settle([delivery for delivery in deliveries if self.sorting.take(delivery)])

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
