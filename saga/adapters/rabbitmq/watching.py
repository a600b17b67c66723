"""Looks whether a consumer is really there: brokers have been seen to forget one without a word."""

import asyncio
import logging

from saga.adapters.rabbitmq.failures import Translated
from saga.adapters.rabbitmq.inflow import Inflow
from saga.adapters.rabbitmq.link import RPC_SECONDS, Link, close_quietly
from saga.ports import MissingQueue, Unavailable

log = logging.getLogger("saga.rabbitmq")

PROBE_SECONDS = 15.0
PROBE_GRACE_SECONDS = 2.0


async def watch(link: Link, queue: str, prefetch: int, inflow: Inflow) -> str:
    """Return why the consumer is gone, when it is; look for ourselves when nothing has arrived for a while."""
    while not inflow.ended.done():
        arrived = inflow.arrived_count
        await asyncio.wait((inflow.ended,), timeout=PROBE_SECONDS)
        idle = inflow.arrived_count == arrived and inflow.unsettled_count < prefetch
        if idle and not inflow.ended.done():
            await _probe(link, queue, inflow)
    return inflow.ended.result()


async def _probe(link: Link, queue: str, inflow: Inflow) -> None:
    """End an inflow that the broker does not feed though messages are ready, or that it does not know."""
    try:
        ready, consumers = await _look(link, queue)
        if ready and consumers:
            arrived = inflow.arrived_count
            await asyncio.sleep(PROBE_GRACE_SECONDS)
            if inflow.arrived_count == arrived and (await _look(link, queue))[0]:
                inflow.end("messages are ready and none is delivered")
        elif not consumers:
            inflow.end("the broker knows of no consumer")
    except MissingQueue:
        inflow.end("the queue is gone")
    except Unavailable as error:
        log.debug("probe failed", extra={"queue": queue, "reason": str(error)})


async def _look(link: Link, queue: str) -> tuple[int, int]:
    """Ready messages and consumers, asked on a channel of its own: a missing queue closes that one."""
    channel = await link.open_channel(confirms=False)
    try:
        with Translated(link.place, f"look at {queue}"):
            async with asyncio.timeout(RPC_SECONDS):
                found = await channel.queue_declare(queue, passive=True)
    finally:
        await close_quietly(channel)
    return found.message_count or 0, found.consumer_count or 0
