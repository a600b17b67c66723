"""What callers say to a saga that is there: signals, decisions of people, cancels."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypedDict, Unpack

import msgspec

from saga.client.correspondence import Correspondence
from saga.core.messages import CancelMessage, Choice, DecideMessage, SignalMessage
from saga.define import Definition
from saga.ports import Ids
from saga.wire import cancel_to_wire, decide_to_wire, signal_to_wire

HALF_A_MINUTE = timedelta(seconds=30)


class ToWhom(TypedDict, total=False):
    """Which saga is meant: its id, or the business key it was started with."""

    saga: str
    key: str


class Clicked(TypedDict, total=False):
    """What goes with a decision; everything may be left out."""

    number: int | None
    """Of the request that was looked at; without it the one that is open."""
    reason: str
    message_id: str | None
    """Sent again under the same id it counts once, whoever sends it."""
    within: timedelta


class Saying:
    """The part of a client that speaks to sagas. Its letters must be open before anything is asked."""

    def __init__(self, ids: Ids, letters: Correspondence) -> None:
        self._ids = ids
        self._letters = letters

    async def cancel(
        self, saga: str, reason: str, *, actor: str | None = None, within: timedelta = HALF_A_MINUTE
    ) -> None:
        """Compensate what a saga did and end it. Raises Refused (`too-late`, `ended`, `unknown-saga`), TimeoutError."""
        await self._cancel(self._wish(reason, actor, saga=saga), within)

    async def cancel_by_key(
        self,
        definition: Definition[Any, Any] | str,
        key: str,
        reason: str,
        *,
        actor: str | None = None,
        within: timedelta = HALF_A_MINUTE,
    ) -> None:
        """As `cancel`, for a saga known by its business key."""
        name = definition if isinstance(definition, str) else definition.name
        await self._cancel(self._wish(reason, actor, name=name, key=key), within)

    async def signal(
        self,
        definition: Definition[Any, Any] | str,
        signal: str,
        given: object = None,
        *,
        message_id: str | None = None,
        actor: str | None = None,
        within: timedelta = HALF_A_MINUTE,
        **to: Unpack[ToWhom],
    ) -> None:
        """Tell a saga something it waits for, or will: `signal("order", "paid", body, key="o-1")`, or `saga=` its id.

        `given` is the body, or its JSON bytes. With a `message_id` of your own the same signal counts once, however
        often you call this; one that comes before its saga is held for ten seconds. Raises Refused
        (`unknown-saga`, `unknown-signal`, `reads-mismatch`, `signal-limit`, `ended`), and TimeoutError.
        """
        only_known("a signal", to, ToWhom, "message_id", "actor", "within")
        if ("saga" in to) == ("key" in to):
            raise TypeError("a signal names its saga. Fix: saga= its id, or key= its business key")
        await self._letters.open()
        message = SignalMessage(
            saga=to.get("saga"),
            name=definition if isinstance(definition, str) else definition.name,
            business_key=to.get("key"),
            signal=signal,
            body=given if isinstance(given, bytes) else msgspec.json.encode(given),
            message_id=message_id or self._ids.message(),
            reply_to=self._letters.reply_to,
            actor=actor,
        )
        await self._letters.ask(signal_to_wire(message), f"the signal {signal}", within)

    async def approve(
        self,
        saga: str,
        path: str,
        *,
        digest: str,
        approver: str,
        edited: object = None,
        **clicked: Unpack[Clicked],
    ) -> None:
        """Bring a person's approval of what has this digest; `edited` is the subject as they changed it, or its bytes.

        Only a gateway's user may: it vouches for the approver. The same again is fine. Raises Refused with a sentence
        for the person (`already-decided`, `approval-expired`, `not-allowed`, `requester`, `changed`, `not-editable`,
        `unknown-approval`, `ended`, `forbidden`), and TimeoutError.
        """
        body = edited if edited is None or isinstance(edited, bytes) else msgspec.json.encode(edited)
        await self._decide(self._decision(Choice.APPROVE, saga, path, digest, approver), body, clicked)

    async def reject(self, saga: str, path: str, *, digest: str, approver: str, **clicked: Unpack[Clicked]) -> None:
        """Bring a person's rejection, as `approve`; say why in `reason`."""
        await self._decide(self._decision(Choice.REJECT, saga, path, digest, approver), None, clicked)

    def _decision(self, choice: Choice, saga: str, path: str, digest: str, approver: str) -> DecideMessage:
        return DecideMessage(
            saga=saga,
            name=None,
            business_key=None,
            path=path,
            choice=choice,
            digest=digest,
            message_id=self._ids.message(),
            actor=approver,
        )

    async def _decide(self, decision: DecideMessage, edited: bytes | None, clicked: Clicked) -> None:
        only_known("a decision", clicked, Clicked, "edited")
        await self._letters.open()
        message = msgspec.structs.replace(
            decision,
            message_id=clicked.get("message_id") or decision.message_id,
            number=clicked.get("number"),
            reason=clicked.get("reason", ""),
            edited=edited,
            reply_to=self._letters.reply_to,
        )
        within = clicked.get("within", HALF_A_MINUTE)
        await self._letters.ask(decide_to_wire(message), f"the decision on {message.path} of {message.saga}", within)

    def _wish(
        self,
        reason: str,
        actor: str | None,
        *,
        saga: str | None = None,
        name: str | None = None,
        key: str | None = None,
    ) -> CancelMessage:
        return CancelMessage(
            saga=saga,
            name=name,
            business_key=key,
            message_id=self._ids.message(),
            reason=reason,
            actor=actor,
        )

    async def _cancel(self, wish: CancelMessage, within: timedelta) -> None:
        await self._letters.open()
        wish = msgspec.structs.replace(wish, reply_to=self._letters.reply_to)
        which = wish.saga or f"{wish.name} {wish.business_key}"
        await self._letters.ask(cancel_to_wire(wish), f"the cancel of {which}", within)


def only_known(what: str, given: Mapping[str, object], options: type, *others: str) -> None:
    """A misspelt option must not pass for one that was left out: a start without its key is another saga.

    `others` are those Python checks. Raises TypeError.
    """
    known = options.__annotations__
    for name in given:
        if name not in known:
            raise TypeError(f"{what} has no option {name!r}. Fix: one of {', '.join((*known, *others))}")
