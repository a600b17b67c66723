"""The caller's side: start a saga, hear what becomes of it, cancel it; and look at sagas in the store.

Everything here over AMQP can be done with a bare AMQP client; `docs/how-to/call-from-any-language.md` shows it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar, overload

import msgspec

from saga.core.errors import ProtocolViolation, SagaError, Unavailable
from saga.core.messages import CancelMessage, ResultKind, ResultMessage, StartMessage
from saga.define import Definition
from saga.ports import Bus, HistoryRow, Ids, Lookup, Outgoing, SagaFilter, SagaRow, Subscription
from saga.wire import cancel_to_wire, result_from_wire, start_to_wire

I = TypeVar("I")  # noqa: E741 - the input
O = TypeVar("O")  # noqa: E741 - the output

REPEAT_FIRST_SECONDS = 1.0
REPEAT_MAX_SECONDS = 15.0


class CallerBus(Bus, Protocol):
    """A bus on which a caller can have a queue of its own for answers."""

    async def declare_results(self, client: str) -> tuple[str, str]:
        """Make the queue, if it is not there; returns its name and the `reply_to` that leads to it."""
        ...


class Refused(SagaError):
    """The engine refused what was asked; asking again the same way is refused again."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


class Started(msgspec.Struct, frozen=True):
    """An accepted start."""

    saga: str
    existing: bool
    """The same start had been accepted before."""
    message_id: str


class Ended(msgspec.Struct, Generic[O], frozen=True):
    """How a saga ended."""

    saga: str
    status: str
    """`completed`, `compensated` or `abandoned`."""
    output: O | None
    """What the definition returns; None unless completed."""
    code: str = ""
    reason: str = ""
    """Why it was compensated or abandoned."""


class Client:
    """Asks the engine, on behalf of one broker user.

    `name` tells this client's answers from those of others under the same user: keep it the same over restarts to find
    answers that came meanwhile. `lookup` (the store) is only needed for `get`, `history` and `list`.
    """

    def __init__(self, bus: CallerBus, ids: Ids, *, name: str, lookup: Lookup | None = None) -> None:
        self._bus = bus
        self._ids = ids
        self._name = name
        self._lookup = lookup
        self._reply_to = ""
        self._subscription: Subscription | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Queue[ResultMessage]] = {}

    async def start(
        self,
        definition: Definition[I, O] | str,
        given: I,
        *,
        key: str | None = None,
        version: int | None = None,
        actor: str | None = None,
        within: timedelta = timedelta(seconds=30),
    ) -> Started:
        """Start a saga, repeating the same message until the engine accepts it.

        The same key (or, without one, the definition's own business key) with the same input is the same saga. `given`
        is the input, or its JSON bytes. Raises Refused, and TimeoutError when nobody answered: then it is not known
        whether the saga exists, and calling again with the same key is safe.
        """
        message_id = self._ids.message()
        await self._listen()
        return await self._start(self._start_message(definition, given, key, version, actor, message_id), within)

    @overload
    async def run(
        self,
        definition: Definition[I, O],
        given: I,
        *,
        key: str | None = None,
        version: int | None = None,
        within: timedelta = ...,
    ) -> Ended[O]: ...
    @overload
    async def run(
        self,
        definition: str,
        given: object,
        *,
        key: str | None = None,
        version: int | None = None,
        within: timedelta = ...,
    ) -> Ended[msgspec.Raw]: ...
    async def run(
        self,
        definition: Definition[I, O] | str,
        given: object,
        *,
        key: str | None = None,
        version: int | None = None,
        within: timedelta = timedelta(minutes=5),
    ) -> Ended[O] | Ended[msgspec.Raw]:
        """Start a saga and wait until it has ended: `start`, then what `result` says.

        Raises Refused, and TimeoutError when it has not ended by then; the saga goes on, and the same call finds it.
        """
        message = self._start_message(definition, given, key, version, None, self._ids.message())
        await self._listen()
        async with asyncio.timeout(within.total_seconds()):
            await self._start(message, within)
            ended = await self._result(message)
        return _ended(definition, ended)

    async def cancel(
        self, saga: str, reason: str, *, actor: str | None = None, within: timedelta = timedelta(seconds=30)
    ) -> None:
        """Compensate what a saga did and end it. Raises Refused (`too-late`, `ended`, `unknown-saga`), TimeoutError."""
        await self._listen()
        cancel = CancelMessage(
            saga=saga,
            name=None,
            business_key=None,
            message_id=self._ids.message(),
            reason=reason,
            reply_to=self._reply_to,
            actor=actor,
        )
        answer = await self._ask(cancel_to_wire(cancel), within)
        if answer.kind is ResultKind.REFUSED:
            raise Refused(answer.code, answer.reason)

    async def get(self, saga: str) -> SagaRow | None:
        """A saga as its row shows it, or None. Reads the store."""
        found = await self._store().sagas(SagaFilter(ids=(saga,), limit=1))
        return found[0] if found else None

    async def history(self, saga: str, after: int = 0) -> Sequence[HistoryRow]:
        """A saga's commits after a version, a page at a time. Reads the store."""
        return await self._store().history(saga, after)

    async def list(self, where: SagaFilter | None = None) -> Sequence[SagaRow]:
        """Sagas, newest first. Reads the store."""
        return await self._store().sagas(where or SagaFilter())

    async def close(self) -> None:
        """Stop listening. The bus stays open: it is the caller's."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        if self._subscription is not None:
            await self._subscription.close()
            self._subscription = None

    # ------------------------------------------------------------------------------------------------------- internals

    def _store(self) -> Lookup:
        if self._lookup is None:
            raise TypeError("this client has no store to read from. Fix: Client(bus, ids, name=..., lookup=store)")
        return self._lookup

    def _start_message(
        self,
        definition: Definition[I, O] | str,
        given: object,
        key: str | None,
        version: int | None,
        actor: str | None,
        message_id: str,
    ) -> StartMessage:
        name = definition if isinstance(definition, str) else definition.name
        pinned = version if isinstance(definition, str) or version is not None else definition.version
        return StartMessage(
            name=name,
            version=pinned,
            start_key=f"m:{message_id}" if key is None else f"k:{key}",
            input=given if isinstance(given, bytes) else msgspec.json.encode(given),
            message_id=message_id,
            actor=actor,
        )

    async def _start(self, message: StartMessage, within: timedelta) -> Started:
        message = msgspec.structs.replace(message, reply_to=self._reply_to)
        answer = await self._ask(start_to_wire(message), within)
        if answer.kind is ResultKind.REFUSED:
            raise Refused(answer.code, answer.reason)
        return Started(answer.saga, answer.existing, message.message_id)

    async def _result(self, message: StartMessage) -> ResultMessage:
        """Wait for the end. A lost answer is asked for again: the same start says how its saga ended."""
        answers = self._answers.setdefault(message.message_id, asyncio.Queue())
        message = msgspec.structs.replace(message, reply_to=self._reply_to)
        pause = REPEAT_MAX_SECONDS
        try:
            while True:
                try:
                    answer = await asyncio.wait_for(answers.get(), pause)
                except TimeoutError:
                    await self._bus.publish([start_to_wire(message)])
                    continue
                if answer.kind is ResultKind.ENDED:
                    return answer
        finally:
            self._answers.pop(message.message_id, None)

    async def _ask(self, message: Outgoing, within: timedelta) -> ResultMessage:
        """Send, and send the same again, until an answer comes. Raises TimeoutError."""
        answers = self._answers.setdefault(message.message_id, asyncio.Queue())
        pause = REPEAT_FIRST_SECONDS
        async with asyncio.timeout(within.total_seconds()):
            while True:
                (sent,) = await self._bus.publish([message])
                if sent.outcome == "refused":
                    raise Refused("refused-by-broker", sent.detail)
                try:
                    return await asyncio.wait_for(answers.get(), pause)
                except TimeoutError:
                    pause = min(pause * 2, REPEAT_MAX_SECONDS)

    async def _listen(self) -> None:
        if self._listening is not None:
            return
        queue, self._reply_to = await self._bus.declare_results(self._name)
        self._subscription = await self._bus.consume(queue, prefetch=100)
        self._listening = asyncio.create_task(self._hear(self._subscription), name=f"answers of {self._name}")

    async def _hear(self, subscription: Subscription) -> None:
        while True:
            try:
                deliveries = await subscription.receive()
            except Unavailable:
                await asyncio.sleep(REPEAT_FIRST_SECONDS)
                continue
            for delivery in deliveries:
                try:
                    answer = result_from_wire(delivery)
                except ProtocolViolation:
                    continue
                waiting = self._answers.get(answer.in_reply_to)
                if waiting is not None:
                    waiting.put_nowait(answer)
            await subscription.settle(deliveries)


def _ended(definition: Definition[I, O] | str, answer: ResultMessage) -> Ended[O] | Ended[msgspec.Raw]:
    if isinstance(definition, str):
        raw = msgspec.Raw(answer.output) if answer.output else None
        return Ended(answer.saga, answer.status, raw, answer.code, answer.reason)
    output = msgspec.json.decode(answer.output, type=definition.output) if answer.output else None
    return Ended(answer.saga, answer.status, output, answer.code, answer.reason)
