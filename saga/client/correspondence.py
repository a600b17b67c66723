"""Asking and hearing: a question is sent again until it is answered, and an answer finds whoever asked."""

import asyncio
import logging
import re
from datetime import timedelta

from saga.client.answers import Refused
from saga.client.waiting import Shelf, Waits
from saga.core.errors import BadValue, ProtocolViolation, Unavailable
from saga.core.messages import ResultKind, ResultMessage
from saga.ports import CallerBus, Delivery, MissingQueue, Outgoing, Subscription
from saga.wire import result_from_wire

log = logging.getLogger("saga.client")

REPEAT_FIRST_SECONDS = 1.0
REPEAT_MAX_SECONDS = 15.0
LAST_CALL_SECONDS = 1.0
"""Before a wait for an end is given up it is asked for once more, this long before the time is up."""
UNREAD_ENDINGS_MAX = 10_000
UNREAD_BYTES_MAX = 64 * 1024 * 1024
"""Ends nobody has asked for yet. One that is dropped is told again when somebody asks."""
READ_ENDINGS_MAX = 1_000
READ_BYTES_MAX = 16 * 1024 * 1024
"""Ends somebody was told, who may ask again."""
DEAF_SECONDS = 1.0
_WORD = r"[A-Za-z0-9_:@,/-]{1,64}"
_NAME = re.compile(rf"{_WORD}(\.{_WORD}){{0,2}}")
"""What goes into the name of a queue, and leads to no other queue as the key of a binding."""


class Correspondence:
    """One client's questions and answers. Open it before asking. Raises BadValue for a name that cannot be used."""

    def __init__(self, bus: CallerBus, client: str, kept: timedelta) -> None:
        if not _NAME.fullmatch(client):
            raise BadValue(
                f"{client[:80]!r} is no name for a client: its answers go to a queue of that name. "
                "Fix: letters, digits, - and _, at most 64"
            )
        self._bus = bus
        self._client = client
        self._kept = kept
        self._opening = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answers = Waits()
        self._ends = Waits()
        self._unread = Shelf(UNREAD_ENDINGS_MAX, UNREAD_BYTES_MAX)
        self._read = Shelf(READ_ENDINGS_MAX, READ_BYTES_MAX)
        self.reply_to = ""
        """Where answers are to be sent; set by `open`."""

    async def open(self) -> None:
        """Listen, if not yet; any number of callers may ask for it at once. Raises Unavailable, and
        BadValue when the queue is there and kept for another time."""
        async with self._opening:
            if self._listening is not None and not self._listening.done():
                return
            queue, self.reply_to = await self._bus.declare_results(self._client, kept=self._kept)
            self._subscription = await self._bus.consume(queue, prefetch=100)
            self._listening = asyncio.create_task(self._hear(self._subscription), name=f"answers of {self._client}")

    async def close(self) -> None:
        """Stop listening."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    async def ask(self, question: Outgoing, what: str, within: timedelta) -> ResultMessage:
        """Send, and send the same again, until it is accepted. Raises Refused, and TimeoutError when nobody
        answered."""
        last = "nothing could be sent"
        pause = REPEAT_FIRST_SECONDS
        with self._answers.waiting(question.message_id) as answer:
            try:
                async with asyncio.timeout(within.total_seconds()):
                    while not answer.done():
                        (sent,) = await self._bus.publish([question])
                        if sent.outcome == "refused":
                            raise Refused("refused-by-broker", sent.detail)
                        last = f"the broker said: {sent.outcome}. {sent.detail}".rstrip(". ")
                        await asyncio.wait({answer}, timeout=pause)
                        pause = min(pause * 2, REPEAT_MAX_SECONDS)
            except TimeoutError:
                raise TimeoutError(
                    f"no answer to {what} within {within.total_seconds():g} s; {last}. "
                    "Whether it was taken is not known. Fix: see that `saga run` is ready and that no other client "
                    f"has the name {self._client!r}, then ask the same again"
                ) from None
        if answer.result().kind is ResultKind.REFUSED:
            raise Refused(answer.result().code, answer.result().reason)
        return answer.result()

    async def end(self, question: Outgoing, what: str, within: timedelta, *, joined: bool) -> ResultMessage:
        """Wait for the end of what this start began. A lost answer is asked for again: the same start says how its
        saga ended. Raises TimeoutError.

        `joined`: the saga was there before, so its end is told to whoever began it, and here it is known by asking.
        """
        heard = self._unread.take(question.message_id) or self._read.take(question.message_id)
        if heard is not None:
            self._read.put(heard)
            return heard
        pause = REPEAT_FIRST_SECONDS if joined else REPEAT_MAX_SECONDS
        with self._ends.waiting(question.message_id) as end:
            try:
                async with asyncio.timeout(within.total_seconds()) as limit:
                    while not end.done():
                        await asyncio.wait({end}, timeout=_until_asked(pause, limit))
                        pause = min(pause * 2, REPEAT_MAX_SECONDS)
                        if not end.done():
                            await self._bus.publish([question])
            except TimeoutError:
                raise TimeoutError(
                    f"{what} has not ended within {within.total_seconds():g} s; it goes on. "
                    "Fix: ask again, or see why it waits with `saga show`"
                ) from None
        return end.result()

    async def _hear(self, subscription: Subscription) -> None:
        while True:
            try:
                deliveries = await subscription.receive()
                for delivery in deliveries:
                    self._heard(delivery)
                await subscription.settle(deliveries)
            except MissingQueue:
                await self._declare_again()
            except Unavailable as error:
                log.debug("cannot hear", extra={"reason": str(error)})
                await asyncio.sleep(DEAF_SECONDS)

    async def _declare_again(self) -> None:
        """A broker that lost everything lost this queue too, and nobody else will make it."""
        try:
            await self._bus.declare_results(self._client, kept=self._kept)
        except (BadValue, Unavailable) as error:
            log.debug("cannot declare the queue for answers", extra={"reason": str(error)})
            await asyncio.sleep(DEAF_SECONDS)

    def _heard(self, delivery: Delivery) -> None:
        try:
            answer = result_from_wire(delivery)
        except ProtocolViolation as violation:
            log.warning("not an answer", extra={"code": violation.code, "text": violation.detail})
            return
        if answer.kind is not ResultKind.ENDED:
            self._answers.hear(answer)
        elif self._ends.hear(answer) or answer.in_reply_to in self._read:
            self._read.put(answer)
        else:
            self._unread.put(answer)


def _until_asked(pause: float, limit: asyncio.Timeout) -> float:
    """Seconds until the next asking: after the pause, but once more just before the limit."""
    when = limit.when()
    assert when is not None
    spare = when - asyncio.get_running_loop().time() - LAST_CALL_SECONDS
    return min(pause, spare) if spare > 0 else pause
