"""The client: everything a caller does.

Everything here over AMQP can be done with a bare AMQP client; `docs/how-to/call-from-any-language.md` shows it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, Unpack, overload

import msgspec

from saga.client.answers import Ended, Started, ended
from saga.client.correspondence import Correspondence
from saga.client.reading import Approvals, Reading
from saga.client.saying import HALF_A_MINUTE, Saying, only_known
from saga.core.messages import StartMessage
from saga.core.pending import ApprovalDetail
from saga.define import Definition
from saga.ports import CallerBus, HistoryRow, Ids, SagaFilter, SagaRow
from saga.wire import start_to_wire

I = TypeVar("I")  # noqa: E741 - the input
O = TypeVar("O")  # noqa: E741 - the output

FIVE_MINUTES = timedelta(minutes=5)
A_DAY = timedelta(days=1)


class How(TypedDict, total=False):
    """How to start a saga; everything may be left out."""

    key: str | None
    """Business key: the same key is the same saga, for ever. Without it the definition's own key counts."""
    version: int | None
    """Of the definition; a definition given as an object has its own, one given by name is the newest."""
    actor: str | None
    """The person who asked; believed only from gateways."""
    within: timedelta


class Client(Saying):
    """Asks the engine, on behalf of one broker user.

    `name` tells this client's answers from those of others under the same user: two that run at once need two names,
    or they take each other's answers, and starts seem unanswered that were accepted. A replica takes what is its own,
    such as its host's name. Keep it the same over restarts to find answers that came meanwhile; nobody reading them,
    they are kept for `answers_kept`, which stays the same with the name. Raises BadValue for a name that is more than
    letters, digits, `-` and `_`. `lookup` (the store) is only needed for `get`, `history`, `list`
    and `approvals`.
    """

    def __init__(
        self, bus: CallerBus, ids: Ids, *, name: str, lookup: Reading | None = None, answers_kept: timedelta = A_DAY
    ) -> None:
        super().__init__(ids, Correspondence(bus, name, answers_kept))
        self._lookup = lookup

    @overload
    async def start(self, definition: Definition[I, O], given: I, **how: Unpack[How]) -> Started[O]: ...
    @overload
    async def start(self, definition: str, given: object, **how: Unpack[How]) -> Started[msgspec.Raw]: ...
    async def start(self, definition: Definition[Any, Any] | str, given: object, **how: Unpack[How]) -> Started[Any]:
        """Start a saga, repeating the same message until the engine accepts it: for 30 seconds, or as `within` says.

        The same key (or, without one, the definition's own business key) with the same input is the same saga. `given`
        is the input, or its JSON bytes. Raises Refused, and TimeoutError when nobody answered: then it is not known
        whether the saga exists, and calling again with the same key is safe.
        """
        return await self._start(definition, given, how, how.get("within", HALF_A_MINUTE))

    async def result(self, started: Started[O], *, within: timedelta = FIVE_MINUTES) -> Ended[O]:
        """Wait until a saga has ended; after a restart of the caller, `start` it again to get here.

        Raises TimeoutError when it has not ended by then; the saga goes on, and the same call finds it.
        """
        await self._letters.open()
        what = f"{started.message.name} {started.saga}"
        answer = await self._letters.end(start_to_wire(started.message), what, within, joined=started.existing)
        return ended(started.definition, answer)  # type: ignore[return-value]  # a name is Started[Raw]

    @overload
    async def run(self, definition: Definition[I, O], given: I, **how: Unpack[How]) -> Ended[O]: ...
    @overload
    async def run(self, definition: str, given: object, **how: Unpack[How]) -> Ended[msgspec.Raw]: ...
    async def run(self, definition: Definition[Any, Any] | str, given: object, **how: Unpack[How]) -> Ended[Any]:
        """Start a saga and wait until it has ended: `start`, then `result`; 5 minutes, or as `within` says.

        Raises Refused, and TimeoutError when it has not ended by then; the saga goes on, and the same call finds it.
        """
        begun, within = asyncio.get_running_loop().time(), how.get("within", FIVE_MINUTES)
        started = await self._start(definition, given, how, within)
        left = within - timedelta(seconds=asyncio.get_running_loop().time() - begun)
        return await self.result(started, within=left)

    async def approvals(
        self, *, root: str | None = None, name: str | None = None, limit: int = 50
    ) -> Sequence[ApprovalDetail]:
        """What people can decide on now, in sagas of one name or below one root, oldest first. Reads the store."""
        return await Approvals(self._store()).waiting(root=root, name=name, limit=limit)

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
        await self._letters.close()

    async def _start(
        self, definition: Definition[Any, Any] | str, given: object, how: How, within: timedelta
    ) -> Started[Any]:
        only_known("a start", how, How)
        await self._letters.open()
        message_id, key, version = self._ids.message(), how.get("key"), how.get("version")
        message = StartMessage(
            name=definition if isinstance(definition, str) else definition.name,
            version=version if isinstance(definition, str) or version is not None else definition.version,
            start_key=f"m:{message_id}" if key is None else f"k:{key}",
            input=given if isinstance(given, bytes) else msgspec.json.encode(given),
            message_id=message_id,
            reply_to=self._letters.reply_to,
            actor=how.get("actor"),
        )
        answer = await self._letters.ask(start_to_wire(message), f"the start of {message.name}", within)
        return Started(answer.saga, answer.existing, definition, message)

    def _store(self) -> Reading:
        if self._lookup is None:
            raise TypeError("this client has no store to read from. Fix: Client(bus, ids, name=..., lookup=store)")
        return self._lookup
