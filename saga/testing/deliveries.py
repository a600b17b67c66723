"""The ways a command may be delivered, and what each must come to: the rules of the wire contract, as short stories."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from saga.contract import Contract, Effect, contract_of
from saga.core.errors import Unavailable
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.testing.crash import Died, dying
from saga.testing.service import Service

DELIVERY_SECONDS_MAX = 20.0
TRIES_MAX = 5
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
IN_TIME = datetime(9000, 1, 1, tzinfo=UTC)
SAGA = "01930000-0000-7000-8000-000000000000"
ANSWERED = "every delivery is answered"
MayDoubt = (Effect.AT_MOST_ONCE, Effect.PROBE)
"""Effects that may end in front of a person after a crash."""


class Broken(Exception):
    """A rule was broken."""

    def __init__(self, rule: str, expected: str, happened: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.expected = expected
        self.happened = happened


class Asked(msgspec.Struct, frozen=True):
    """What is asked of the service in every story."""

    command: Callable[[str], msgspec.Struct]
    undo: Callable[[Any, Any], msgspec.Struct] | None
    """From the command and its reply, None when no reply came."""


class Life:
    """One idempotency key from its first delivery on."""

    def __init__(self, service: Service, asked: Asked, token: str, base: int, unit: int) -> None:
        self._service = service
        self._command = asked.command(token)
        self._asked = asked
        self._base = base
        self.unit = unit
        """By how much the effects change when it is done once."""
        self.token = token
        self.log: list[str] = []
        self.contract: Contract = contract_of(type(self._command))
        self.action = message_of(self._command, token)
        self._reply: msgspec.Struct | None = None

    async def do(self, *, process: int = 0, expired: bool = False, body: bytes | None = None) -> ReplyMessage:
        """Deliver the command."""
        expires_at = LONG_AGO if expired else IN_TIME
        message = msgspec.structs.replace(self.action, expires_at=expires_at, body=body or self.action.body)
        what = "the command, expired" if expired else "the command" if body is None else "the command, other bytes"
        reply = await self._deliver(what, message, process)
        if reply.outcome is Outcome.OK and self._reply is None:
            self._reply = msgspec.json.decode(reply.body, type=self.contract.reply)
        return reply

    async def undo(self, outcome: str, *, process: int = 0) -> ReplyMessage:
        """Deliver its compensation; `outcome` is what the engine knows of the command, `ok` or `unknown`."""
        return await self._deliver(f"its undo ({outcome})", self._undo(outcome), process)

    async def die(self, at: int, *, undoing: bool = False) -> bool:
        """Deliver, and kill the process at that await; False when it ended before."""
        message = self._undo("ok") if undoing else self.action
        what = "its undo" if undoing else "the command"
        try:
            async with asyncio.timeout(DELIVERY_SECONDS_MAX):
                reply = await dying(self._service.ask(message, 0), at)
        except Died as died:
            self.log.append(f"{what}: the process was killed at await {at}, {died}")
            await self._service.end_leases()
            return True
        except Exception as error:
            raise self._unanswered(what, error) from error
        self.log.append(f"{what}: {spelt(reply)}")
        return False

    async def together(self, *deliveries: Awaitable[ReplyMessage]) -> None:
        """Several at the same time; a delivery that is given back counts as none."""
        self.log.append("at the same time:")
        for said in await asyncio.gather(*deliveries, return_exceptions=True):
            given_back = isinstance(said, Broken) and isinstance(said.__cause__, Unavailable)
            if isinstance(said, BaseException) and not given_back:
                raise said

    async def until_settled(self, deliver: Callable[[], Awaitable[ReplyMessage]]) -> ReplyMessage:
        """Deliver again while it is answered `retry`."""
        reply = await deliver()
        for _ in range(TRIES_MAX):
            if reply.outcome is not Outcome.RETRY:
                return reply
            reply = await deliver()
        raise Broken(
            "an interrupted command can be asked again",
            "a definite answer in the end",
            f"{TRIES_MAX + 1} answers, the last {spelt(reply)}",
        )

    async def forget(self) -> bool:
        """Let the service forget the command."""
        self.log.append("the key was forgotten")
        return await self._service.forget(self.action.key)

    async def stands(self, times: int, rule: str) -> None:
        """The effect stands so many times. Raises Broken."""
        change = await self._service.effects() - self._base
        if change != times * self.unit:
            raise Broken(rule, f"effects changed by {times * self.unit}", f"effects changed by {change}")

    async def done_or_not(self, rule: str) -> None:
        """The effect stands once or not at all. Raises Broken."""
        change = await self._service.effects() - self._base
        if change not in (0, self.unit):
            raise Broken(rule, f"effects changed by 0 or {self.unit}", f"effects changed by {change}")

    async def change(self) -> int:
        """By how much the effects changed."""
        return await self._service.effects() - self._base

    def _undo(self, outcome: str) -> CommandMessage:
        assert self._asked.undo is not None, "stories without an undo ask for none"
        body = self._asked.undo(self._command, self._reply if outcome == "ok" else None)
        message = message_of(body, f"undo of {self.token}", kind=Kind.COMPENSATION)
        return msgspec.structs.replace(message, undoes=self.action.key, undoes_outcome=outcome)

    async def _deliver(self, what: str, message: CommandMessage, process: int) -> ReplyMessage:
        try:
            async with asyncio.timeout(DELIVERY_SECONDS_MAX):
                reply = await self._service.ask(message, process)
        except Exception as error:
            raise self._unanswered(what, error) from error
        self.log.append(f"{what}: {spelt(reply)}")
        return reply

    def _unanswered(self, what: str, error: Exception) -> Broken:
        told = f"{type(error).__name__}: {error}"
        self.log.append(f"{what}: {told}")
        return Broken(ANSWERED, "an answer", told)


def message_of(body: msgspec.Struct, name: str, *, kind: Kind = Kind.ACTION) -> CommandMessage:
    """A command as the engine would send it; `name` makes its key."""
    contract = contract_of(type(body))
    key = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return CommandMessage(
        saga=SAGA,
        saga_name="test",
        saga_version=1,
        business_key=name,
        path="step",
        kind=kind,
        execution=1,
        attempt=1,
        service=contract.service,
        command=contract.name,
        command_version=contract.version,
        message_id=hashlib.blake2b(f"{name} 1".encode(), digest_size=16).hexdigest(),
        key=key,
        body=msgspec.json.encode(body),
    )


def said(
    reply: ReplyMessage, outcome: Outcome, effect: ReplyEffect | None = None, *, code: str = "", rule: str
) -> None:
    """The answer is this one. Raises Broken."""
    right = reply.outcome is outcome and (effect is None or reply.effect is effect) and code in ("", reply.code)
    if not right:
        wanted = "/".join(word for word in (str(outcome), code, "" if effect is None else str(effect)) if word)
        raise Broken(rule, f"the answer {wanted}", f"the answer {spelt(reply)}")


def spelt(reply: ReplyMessage) -> str:
    """`ok/applied`, `refused/cancelled: its compensation came first`."""
    words = [str(reply.outcome), reply.code or str(reply.effect)]
    return "/".join(words) + (f": {reply.message}" if reply.message else "")


CANCELLED = RefusedCode.CANCELLED.value
IN_DOUBT = RefusedCode.IN_DOUBT.value
