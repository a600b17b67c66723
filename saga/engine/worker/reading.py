"""The loops that read: deliveries come in from each queue, and are acknowledged on its own channel."""

import asyncio
import logging
from collections.abc import Sequence

from saga.core.errors import Unavailable
from saga.engine.backlog import Backlog
from saga.engine.health import Health
from saga.engine.receive import work_of
from saga.engine.settings import EngineSettings
from saga.engine.worker.pause import Pause
from saga.ports import Bus, Delivery, Subscription
from saga.wire import names

log = logging.getLogger("saga.engine")

IDLE_RESET_SECONDS = 30.0


class Readers:
    """One subscription for each queue that orchestrators read from."""

    def __init__(self, bus: Bus, backlog: Backlog, health: Health, settings: EngineSettings) -> None:
        self._bus = bus
        self._backlog = backlog
        self._health = health
        self._settings = settings
        self._subscriptions: dict[str, Subscription] = {}

    async def read(self, queue: str, pause: Pause) -> None:
        """Take deliveries in for ever; an outage is waited out."""
        while True:
            try:
                subscription = await self._subscribed(queue)
                deliveries = await subscription.receive()
            except Unavailable as error:
                log.warning("cannot read", extra={"queue": queue, "reason": str(error)})
                if queue in self._subscriptions:
                    await pause.usual()  # the bus tries again by itself, and says so each time it fails
                else:
                    self._health.consumes(queue, str(error))
                    await pause.longer()
                continue
            pause.over()
            self._backlog.add(work_of(delivery) for delivery in deliveries)
            if queue == names.QUEUE_START:
                await self._backlog.room_for_starts(IDLE_RESET_SECONDS)

    async def acknowledge(self, done: Sequence[Delivery]) -> None:
        """Settle on each queue's own channel. Acknowledgements that are lost only bring the deliveries again."""
        by_queue: dict[str, list[Delivery]] = {}
        for delivery in done:
            by_queue.setdefault(delivery.queue, []).append(delivery)
        for queue, deliveries in by_queue.items():
            try:
                await self._subscriptions[queue].settle(deliveries)
            except Unavailable:
                log.warning("acknowledgements lost; the deliveries come again", extra={"queue": queue})

    async def close(self) -> None:
        """Stop consuming: what is not acknowledged goes back to its queue."""
        await asyncio.gather(*(subscription.close() for subscription in self._subscriptions.values()))

    async def _subscribed(self, queue: str) -> Subscription:
        subscription = self._subscriptions.get(queue)
        if subscription is None:
            starts = queue == names.QUEUE_START
            prefetch = self._settings.starts_prefetch if starts else self._settings.prefetch
            subscription = self._subscriptions[queue] = await self._bus.consume(queue, prefetch)
            self._health.consumes(queue, subscription)
        return subscription
