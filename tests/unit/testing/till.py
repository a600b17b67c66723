"""A service with a fault to choose: each breaks one rule in the way teams really break it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import msgspec

from saga.contract import Command, Context, Effect, Failure, Handler, command
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyEffect, ReplyMessage
from saga.wire import answer

TABLES = "create table payments (id text not null, amount bigint not null);"
TOTAL = "select sum(amount) from payments"


class Done(msgspec.Struct, frozen=True):
    """Any reply."""

    id: str = ""


class Declined(Failure, frozen=True):
    """Any declared refusal."""


@command(service="till", effect=Effect.INBOX)
class Pay(Command[Done, Declined], frozen=True):
    """Its effect is in the service's own tables."""

    id: str
    amount: int = 7


@command(service="till", effect=Effect.INBOX)
class Unpay(Command[Done], frozen=True):
    """Takes a payment back."""

    id: str


@command(service="till", effect=Effect.PROVIDER_KEY)
class Transfer(Command[Done], frozen=True):
    """Its effect is at a provider that takes a key."""


@command(service="till", effect=Effect.PROVIDER_KEY)
class Recall(Command[Done], frozen=True):
    """Takes a transfer back."""


@command(service="till", effect=Effect.PROBE)
class Book(Command[Done], frozen=True):
    """Its effect is at a provider that can be asked."""


@command(service="till", effect=Effect.READ_ONLY)
class Look(Command[Done], frozen=True):
    """Promises to change nothing."""


class Provider:
    """A provider that applies a key once, and forgets nothing."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def count(self) -> int:
        """How much stands."""
        return len(self.keys)

    async def apply(self, key: str) -> None:
        """Once a key."""
        await _network()
        if key not in self.keys:
            self.keys.append(key)
        await _network()

    async def cancel(self, key: str) -> None:
        """Takes a key back, if it is there."""
        await _network()
        if key in self.keys:
            self.keys.remove(key)

    def transfers(self, key_of: Callable[[Context], str] = lambda ctx: ctx.key) -> list[Handler]:
        """Handlers that give the provider this key."""

        async def transfer(_: Transfer, ctx: Context) -> Done:
            await self.apply(key_of(ctx))
            return Done()

        async def recall(_: Recall, ctx: Context) -> Done:
            assert ctx.undone is not None
            await self.cancel(ctx.undone.key)
            return Done()

        return [Transfer.handled_by(transfer), Recall.handled_by(recall)]

    def bookings(self, probe: Callable[[Book, Context], Awaitable[Done | None]] | None = None) -> Handler:
        """A handler whose provider books as often as it is asked."""

        async def book(_: Book, ctx: Context) -> Done:
            await _network()
            self.keys.append(ctx.key)
            await _network()
            return Done()

        async def find(_: Book, ctx: Context) -> Done | None:
            await _network()
            return Done() if ctx.key in self.keys else None

        return Book.handled_by(book, probe=probe or find)


async def _network() -> None:
    await asyncio.sleep(0)


async def pay(cmd: Pay, ctx: Context) -> Done | Declined:
    """As it should be: all through the transaction."""
    if cmd.amount > 100:
        return Declined()
    await ctx.tx.execute("insert into payments values ($1, $2)", cmd.id, cmd.amount)
    return Done(id=cmd.id)


async def pay_by_itself(cmd: Pay, ctx: Context) -> Done:
    """Commits its effect in a transaction of its own, behind our back: a repeat after a crash does it again."""
    await ctx.tx.execute("insert into payments values ($1, $2)", cmd.id, cmd.amount)
    ctx.tx.connection.execute("commit")
    ctx.tx.connection.execute("begin immediate")
    await ctx.tx.execute("select 1")
    return Done(id=cmd.id)


async def pay_and_decline(cmd: Pay, ctx: Context) -> Declined:
    """Does it, and says that it did not."""
    await ctx.tx.execute("insert into payments values ($1, $2)", cmd.id, cmd.amount)
    return Declined()


async def unpay(cmd: Unpay, ctx: Context) -> Done:
    """As it should be."""
    await ctx.tx.execute("delete from payments where id = $1", cmd.id)
    return Done()


async def unpay_by_booking(cmd: Unpay, ctx: Context) -> Done:
    """Takes back outside the transaction, by a second entry."""
    await ctx.tx.execute("insert into payments values ($1, $2)", cmd.id, -7)
    await ctx.tx.execute("commit")
    await ctx.tx.execute("begin immediate")
    return Done()


async def unpay_nothing(_: Unpay, __: Context) -> Done:
    """Forgets to undo."""
    return Done()


class OwnInbox:
    """A participant written without the library, by a team that read half of the contract."""

    def __init__(self, *, fault: str = "") -> None:
        self.fault = fault
        self.count = 0
        self._answers: dict[str, tuple[bytes, ReplyMessage]] = {}
        self._cancelled: set[str] = set()

    async def __call__(self, command: CommandMessage) -> ReplyMessage:
        """The message in, its reply out."""
        await _network()
        if command.kind is Kind.COMPENSATION:
            return await self._undo(command)
        body = hashlib.sha256(command.body).digest()
        known = self._answers.get(command.key)
        if known is not None:
            if known[0] != body and self.fault != "takes other bytes":
                return self._say(command, Outcome.REFUSED, "key-reused")
            return msgspec.structs.replace(known[1], effect=ReplyEffect.REPLAYED)
        if command.key in self._cancelled and self.fault != "ignores the tombstone":
            return self._say(command, Outcome.REFUSED, "cancelled")
        if command.expires_at is not None and command.expires_at.year < 2026:
            outcome = Outcome.FAILED if self.fault == "fails what expired" else Outcome.REFUSED
            return self._say(command, outcome, "expired")
        if not command.body.startswith(b"{"):
            return self._say(command, Outcome.REFUSED, "invalid-payload")
        return await self._do(command, body)

    async def _do(self, command: CommandMessage, body: bytes) -> ReplyMessage:
        reply = self._say(command, Outcome.OK)
        if self.fault == "looks long before it writes":
            await _network()
        if self.fault == "commits before its effect":
            self._answers[command.key] = (body, reply)
            await _network()
        self.count += 1
        if self.fault == "commits after its effect":
            await _network()
        self._answers[command.key] = (body, reply)
        await _network()
        return reply

    async def _undo(self, command: CommandMessage) -> ReplyMessage:
        known = self._answers.get(command.key)
        if known is not None:
            effect = known[1].effect if known[1].effect is ReplyEffect.NONE else ReplyEffect.REPLAYED
            return msgspec.structs.replace(known[1], effect=effect)
        undone = command.undoes or ""
        if undone in self._answers and undone not in self._cancelled:
            self.count -= 1
            reply = self._say(command, Outcome.OK)
        else:
            reply = msgspec.structs.replace(self._say(command, Outcome.OK), effect=ReplyEffect.NONE)
        self._cancelled.add(undone)
        self._answers[command.key] = (b"", reply)
        await _network()
        return reply

    def _say(self, command: CommandMessage, outcome: Outcome, code: str = "") -> ReplyMessage:
        effect = ReplyEffect.APPLIED if outcome is Outcome.OK else ReplyEffect.NONE
        return msgspec.structs.replace(answer(command, outcome, code, effect=effect), type="till.Done.v1", body=b"{}")
