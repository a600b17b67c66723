"""Consuming: a subscription outlives channels, connections and queues, and knows what it may still settle."""

import asyncio
import logging
from collections.abc import Sequence

import aiormq

from saga.adapters.rabbitmq.failures import Translated
from saga.adapters.rabbitmq.inflow import Inflow
from saga.adapters.rabbitmq.link import RPC_SECONDS, Link, close_quietly
from saga.adapters.rabbitmq.watching import watch
from saga.ports import Delivery, Unavailable

log = logging.getLogger("saga.rabbitmq")

RESTORE_SECONDS = (0.3, 0.5, 0.7, 1.0)
"""Pauses before the attempts to consume again; the last one repeats."""
SETTLE_SECONDS = 10.0


class RabbitSubscription:
    """Deliveries of one queue. Tokens rise across reconnects, so a delivery of a lost channel is recognised."""

    def __init__(self, link: Link, queue: str, prefetch: int) -> None:
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._channel: aiormq.Channel | None = None
        self._inflow: Inflow | None = None
        self._wake = asyncio.Event()
        self._failure: Unavailable | None = None
        self._trouble: str | None = "not consumed yet"
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(cls, link: Link, queue: str, prefetch: int) -> "RabbitSubscription":
        """Consume. Raises Unavailable, or MissingQueue."""
        subscription = cls(link, queue, prefetch)
        await subscription._consume()
        subscription._keeper = asyncio.create_task(subscription._keep(), name=f"rabbitmq consumer {queue}")
        return subscription

    @property
    def trouble(self) -> str | None:
        """Why nothing can arrive now."""
        return self._trouble

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def receive(self) -> Sequence[Delivery]:
        """Wait for deliveries and return all that are there.

        Raises Unavailable (MissingQueue when the queue is gone) once for each failed attempt to consume again; calling
        it again waits for the next attempt, so a caller needs no pause of its own.
        """
        while True:
            self._wake.clear()
            if self._closed:
                raise Unavailable(f"the subscription of {self._queue} is closed")
            if self._inflow is not None and (deliveries := self._inflow.take()):
                return deliveries
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            await self._wake.wait()

    async def settle(self, acked: Sequence[Delivery], released: Sequence[Delivery] = ()) -> None:
        """Acknowledge and give back. Deliveries of a lost channel are ignored: the broker has given them back."""
        if self._inflow is None:
            return
        self._inflow.settle((delivery.token for delivery in acked), (delivery.token for delivery in released))
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._inflow.drained()
        except TimeoutError:
            log.warning("settling is slow", extra={"queue": self._queue})

    async def close(self) -> None:
        """Stop consuming; what is not settled goes back to the queue."""
        self._closed = True
        self._wake.set()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self._stop()

    # --------------------------------------------------------------------------------------------------- keep it alive

    async def _consume(self) -> None:
        tap = self._link.tap
        channel = await self._link.open_channel(confirms=False)
        inflow = Inflow(tap, channel.number, self._queue, self._first_token(), self._wake.set)
        try:
            with Translated(self._link.place, f"consume {self._queue}"):
                async with asyncio.timeout(RPC_SECONDS):
                    await channel.basic_qos(prefetch_count=self._prefetch)
                    await channel.basic_consume(self._queue, _never_called, consumer_tag=f"saga.{self._queue}")
        except BaseException:
            tap.detach(channel.number, "consume failed")
            await close_quietly(channel)
            raise
        self._channel, self._inflow, self._failure, self._trouble = channel, inflow, None, None
        self._wake.set()  # the first deliveries may have come before the answer to consume

    def _first_token(self) -> int:
        return 1 if self._inflow is None else self._inflow.token_after_last

    async def _keep(self) -> None:
        while True:
            assert self._inflow is not None
            reason = await watch(self._link, self._queue, self._prefetch, self._inflow)
            self._trouble = reason
            log.warning("consumer lost", extra={"queue": self._queue, "reason": reason})
            await self._stop()
            await self._restore()
            log.warning("consumer restored", extra={"queue": self._queue})

    async def _restore(self) -> None:
        attempt = 0
        while True:
            try:
                await self._consume()
            except Unavailable as error:
                self._failure = error
            except Exception as error:  # whatever it is, giving up would leave the receiver waiting for good
                self._failure = Unavailable(f"{self._link.place}: could not consume {self._queue}: {error!r}")
                log.exception("consume failed", extra={"queue": self._queue})
            else:
                return
            self._trouble = str(self._failure)
            self._wake.set()
            await asyncio.sleep(RESTORE_SECONDS[min(attempt, len(RESTORE_SECONDS) - 1)])
            attempt += 1

    async def _stop(self) -> None:
        """Cancel the consumer and end with an RPC: acks sent just before a close may otherwise be lost."""
        channel, self._channel = self._channel, None
        if channel is None or self._inflow is None:
            return
        if self._inflow.loss is None:
            try:
                with Translated(self._link.place, f"stop consuming {self._queue}"):
                    async with asyncio.timeout(RPC_SECONDS):
                        await channel.basic_cancel(f"saga.{self._queue}")
                        await channel.basic_qos(prefetch_count=self._prefetch)
            except Unavailable as error:
                log.debug("stop failed", extra={"queue": self._queue, "reason": str(error)})
        self._inflow.end()
        await close_quietly(channel)


async def _never_called(_: object) -> None:
    """The library wants a callback; the tap takes every delivery before it."""
    raise AssertionError("a delivery reached the client library")
