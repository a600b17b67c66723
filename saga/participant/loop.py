"""The loop of `saga serve`: takes deliveries while there is room, sends answers as they come, drains when told to."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final

from saga.core.errors import Unavailable
from saga.participant.health import Health
from saga.participant.job import Serving
from saga.participant.outcome import cancelled_by_caller, told
from saga.participant.serve import PURGE_ROWS_MAX, Answered, answer_group, ask, grouped, publish_answers, purge
from saga.ports import Bus, Delivery, Subscription

PURGE_EVERY: Final = timedelta(minutes=10)
ASK_EVERY: Final = timedelta(minutes=1)
"""A process without work would not notice that its database is away."""
DRAIN_MAX: Final = timedelta(seconds=30)
"""How long running handlers may take once the process is told to stop. What they leave is redelivered."""
GROUPS_READY: Final = 4
"""Of `commands_per_transaction` each, held at least while as many are being worked on."""
PAUSE_FIRST_SECONDS: Final = 0.2
PAUSE_MAX_SECONDS: Final = 10.0

log = logging.getLogger("saga.participant")


async def run(
    serving: Serving, bus: Bus, stop: asyncio.Event, *, drain: timedelta = DRAIN_MAX, health: Health | None = None
) -> None:
    """Serve until `stop` is set, then finish what runs, publish and acknowledge it, and return.

    Outages of broker and database are waited out, and told to `health`. The caller closes bus and database.
    """
    health = health or Health(serving.participant.queue)
    subscription = await _subscribed(serving, bus, stop, health)
    if subscription is None:
        return
    health.consumes(subscription)
    desk = _Desk(serving, bus, subscription, health)
    beside = [
        asyncio.create_task(each) for each in (_purge_now_and_then(serving), desk.look(), desk.look_now_and_then())
    ]
    sending = asyncio.create_task(desk.send())
    try:
        await _until(stop, desk.take(), sending)
        await desk.drain(drain)
        await sending
    finally:
        await _cancelled(*beside, sending)
        await subscription.close()


class _Desk:
    """Deliveries being worked on, and answers waiting to be sent."""

    def __init__(self, serving: Serving, bus: Bus, subscription: Subscription, health: Health) -> None:
        self._health = health
        self._serving = serving
        self._bus = bus
        self._subscription = subscription
        self._working: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(serving.participant.concurrency)
        self._answered: list[Answered] = []
        self._news = asyncio.Event()
        self._doubt = asyncio.Event()
        self._pause_seconds = 0.0
        self._pause: asyncio.Future[None] | None = None
        self._draining = False

    async def take(self) -> None:
        """Start work on whatever arrives; never returns."""
        while True:
            try:
                deliveries = await self._subscription.receive()
            except Unavailable as away:
                await self._back_off(str(away))
                continue
            for group in grouped(self._serving, deliveries):
                task = asyncio.create_task(self._work(group))
                self._working.add(task)
                task.add_done_callback(self._working.discard)
            if self._pause is not None:  # take no more of what would only come back
                await asyncio.wait([self._pause])

    async def send(self) -> None:
        """Publish what has gathered while the last batch was on its way; returns once everything is drained."""
        while not self._draining or self._answered:
            await self._news.wait()
            self._news.clear()
            batch, self._answered = self._answered, []
            await self._publish(batch)

    async def look(self) -> None:
        """In doubt, ask the database until it answers: readiness cannot wait for a command that comes here again."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            try:
                await ask(self._serving)
            except (Exception, asyncio.CancelledError) as error:
                if cancelled_by_caller():
                    raise
                self._health.database = told(error)
                await self._back_off(told(error))
            else:
                self._health.database = None

    async def look_now_and_then(self) -> None:
        """Also without work."""
        while True:
            await self._serving.clock.sleep(ASK_EVERY.total_seconds())
            self._doubt.set()

    async def drain(self, limit: timedelta) -> None:
        """Let handlers end, cut those that take longer than `limit`, and let `send` return."""
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=limit.total_seconds())
            if late:
                log.warning("drained only in part; handlers were cut", extra={"count": len(late)})
                await _cancelled(*late)
        self._draining = True
        self._news.set()
        if self._pause is not None:
            self._pause.cancel()

    async def _work(self, group: Sequence[Delivery]) -> None:
        async with self._turns:
            answered = await self._answers(group)
        problem = next((one.problem for one in answered if not one.messages), None)
        if problem is not None:  # the database is away: given back at once it would come back at once
            await self._back_off(problem)
        self._answered += answered
        self._news.set()

    async def _answers(self, group: Sequence[Delivery]) -> list[Answered]:
        """Whatever happens, each is answered or given back: the broker sends no more than it lets us hold."""
        try:
            return await answer_group(self._serving, group)
        except (Exception, asyncio.CancelledError, BaseExceptionGroup) as error:
            cut = cancelled_by_caller()
            about = {"count": len(group), "reason": told(error)}
            log.warning("commands are given back unanswered", extra=about, exc_info=not cut)
            returned = [Answered(delivery, (), told(error)) for delivery in group]
            if not cut:
                return returned
            self._answered += returned
            self._news.set()
            raise

    async def _publish(self, batch: Sequence[Answered]) -> None:
        if not batch:
            return
        published = await publish_answers(self._bus, self._subscription, batch)
        if published.problem and not self._draining:
            await self._back_off(published.problem)
        elif published.acked:
            self._pause_seconds = 0.0

    async def _back_off(self, reason: str) -> None:
        """Wait, longer each time until something works again. All that fail meanwhile share one wait."""
        self._doubt.set()
        if self._pause is None:
            self._pause_seconds = min(max(self._pause_seconds * 2, PAUSE_FIRST_SECONDS), PAUSE_MAX_SECONDS)
            about = {"service": self._serving.participant.service, "reason": reason, "seconds": self._pause_seconds}
            log.warning("takes nothing for a while", extra=about)
            self._pause = asyncio.ensure_future(self._serving.clock.sleep(self._pause_seconds))
            self._pause.add_done_callback(self._pause_ended)
        await asyncio.wait([self._pause])

    def _pause_ended(self, _: object) -> None:
        self._pause = None


async def _subscribed(serving: Serving, bus: Bus, stop: asyncio.Event, health: Health) -> Subscription | None:
    """The subscription, as soon as broker and queue are there; None when stopped before."""
    pause_seconds = PAUSE_FIRST_SECONDS
    participant = serving.participant
    prefetch = max(participant.concurrency, participant.commands_per_transaction * GROUPS_READY) * 2
    while not stop.is_set():
        try:
            return await bus.consume(serving.participant.queue, prefetch)
        except Unavailable as away:
            about = {"queue": serving.participant.queue, "code": away.code, "reason": str(away)}
            health.consumes(str(away))
            log.warning("cannot read", extra=about)
        await _until(stop, serving.clock.sleep(pause_seconds))
        pause_seconds = min(pause_seconds * 2, PAUSE_MAX_SECONDS)
    return None


async def _purge_now_and_then(serving: Serving) -> None:
    while True:
        try:
            while await purge(serving) >= PURGE_ROWS_MAX:
                pass
        except Exception:
            log.warning("old rows were not forgotten", exc_info=True)
        await serving.clock.sleep(PURGE_EVERY.total_seconds())


async def _until(
    stop: asyncio.Event, work: Coroutine[None, None, None], beside: asyncio.Task[None] | None = None
) -> None:
    """Run `work` until told to stop. Raises what it, or the task beside it, raised."""
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(work)
    watched = {stopping, working, *([] if beside is None else [beside])}
    try:
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancelled(stopping, working)
    for task in done:
        if not task.cancelled():
            await task


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    """End tasks and wait until they have; what they raised was heard before or does not matter any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
