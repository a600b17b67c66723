"""Makes a broker look as wanted, and tells what is missing.

Each check and each declaration has a channel of its own, for the broker closes the channel that asks for a name it
does not know. Over AMQP alone no policy can be set, so a queue that has to be made without one gets the same settings
as arguments and is safe from its first message (a broker of version 4 drops after 20 deliveries by default).
Arguments can never be changed; with a management address, or with the definitions file, policies carry the settings.
A queue that exists is left as it is: both ways can be repeated and mixed.
"""

import asyncio
import functools
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiormq
from aiormq.exceptions import ChannelPreconditionFailed
from pamqp.common import FieldTable

from saga.adapters.rabbitmq.failures import Translated
from saga.adapters.rabbitmq.link import EXAMPLE, RPC_SECONDS, Link, broker_url, close_quietly
from saga.adapters.rabbitmq.management import Management, management_address
from saga.core.checkup import BrokerLook, QueueLook
from saga.core.definitions_file import QUORUM
from saga.core.errors import BadValue
from saga.core.topology import Binding, Exchange, Policy, Queue, Topology
from saga.ports import MissingQueue

log = logging.getLogger("saga.rabbitmq")


async def apply(url: str, topology: Topology, *, management_url: str | None = None) -> list[str]:
    """Declare what is missing; return what is left to do by hand, as commands (empty: nothing).

    `url` names a user who may configure, `management_url` (`http://user:password@host:15672`) one who may set
    policies. Users and their rights are never touched: load the definitions file for them. Raises Unavailable when
    the broker cannot be reached or refuses, naming what it refused.
    """
    vhost = vhost_of(url)
    if management_url is not None:
        management = Management(management_url)
        for policy in topology.policies:  # before the queues: these must never live a moment without
            await asyncio.to_thread(management.put_policy, vhost, policy)
    stand_in = () if management_url is not None else topology.policies
    async with _linked(url) as link:
        for exchange in topology.exchanges:
            await _on_own_channel(link, f"declare the exchange {exchange.name}", _exchange_declaration(exchange))
        for queue in topology.queues:
            if not await _exists(link, queue):
                await _on_own_channel(link, f"declare the queue {queue.name}", _queue_declaration(queue, stand_in))
        for binding in topology.bindings:
            await _on_own_channel(link, f"bind {binding.queue} to {binding.exchange}", _bind(binding))
    return [policy_command(policy, vhost) for policy in stand_in]


async def read(url: str, management_url: str, *, users: bool) -> Topology:
    """Everything in the vhost of `url`, as the management API tells it. Raises Unavailable."""
    management = Management(management_address(url, management_url))
    return await asyncio.to_thread(functools.partial(management.topology, vhost_of(url), users=users))


async def missing(url: str, topology: Topology) -> list[str]:
    """Exchanges and queues that are not there, e.g. `queue saga.replies`; empty when ready. Any user may ask.

    Bindings, policies and rights cannot be seen over AMQP. Raises Unavailable when the broker cannot be reached.
    """
    async with _linked(url) as link:
        places = [
            *((f"exchange {exchange.name}", _exchange_check(exchange)) for exchange in topology.exchanges),
            *((f"queue {queue.name}", _queue_check(queue)) for queue in topology.queues),
        ]
        return [place for place, check in places if not await _found(link, place, check)]


async def look(url: str, topology: Topology) -> BrokerLook:
    """What of the topology is there, and how its queues stand. Any user may ask. Raises Unavailable."""
    async with _linked(url) as link:
        queues: dict[str, QueueLook] = {}
        places = [
            *((f"exchange {exchange.name}", _exchange_check(exchange)) for exchange in topology.exchanges),
            *((f"queue {queue.name}", _queue_look(queue, queues)) for queue in topology.queues),
        ]
        missing = [place for place, check in places if not await _found(link, place, check)]
    return BrokerLook(tuple(missing), queues)


async def declare_results(link: Link, queue: str, routing_key: str, exchange: str, expires_ms: int) -> None:
    """A caller's own queue and its binding. Raises Unavailable, and BadValue when the queue cannot be kept so long, or
    was made for another time: its arguments never change."""

    async def declare(channel: aiormq.Channel) -> None:
        arguments: FieldTable = {**QUORUM, "x-expires": expires_ms}
        try:
            found = await channel.queue_declare(queue, durable=True, arguments=arguments)
        except ChannelPreconditionFailed as error:
            raise BadValue(
                f"{link.place}: could not declare the queue {queue}: {error.args[0]}. Fix: answers_kept above zero and "
                "as it was when the queue was made, or a client of another name"
            ) from error
        if found.consumer_count:  # quorum queues do not know an exclusive consumer: it can only be told
            log.warning("answers have another reader", extra={"queue": queue, "reader_count": found.consumer_count})
        await channel.queue_bind(queue, exchange, routing_key)

    await _on_own_channel(link, f"declare the queue {queue}", declare)


def arguments_of(queue: Queue, policies: tuple[Policy, ...]) -> dict[str, str | int]:
    """The arguments a queue is declared with: its type, and what the policies would say if they cannot be set."""
    matching = [policy for policy in policies if re.search(policy.pattern, queue.name)]
    chosen = max(matching, key=lambda policy: policy.priority, default=None)
    settings = chosen.definition if chosen is not None else {}
    return {**QUORUM, **{f"x-{name}": value for name, value in settings.items()}}


def policy_command(policy: Policy, vhost: str) -> str:
    """The command an operator types."""
    definition = json.dumps(policy.definition)
    return (
        f"rabbitmqctl set_policy -p '{vhost}' --apply-to queues --priority {policy.priority} "
        f"'{policy.name}' '{policy.pattern}' '{definition}'"
    )


@contextmanager
def _addressed() -> Iterator[None]:
    """An address that can never work is the caller's mistake, not an outage. Raises BadValue."""
    try:
        yield
    except ValueError as error:
        reason, _, fix = str(error).partition(" Fix: ")
        what = f"the address of the broker: {reason.rstrip('.')}. Fix: {fix or EXAMPLE}"
        raise BadValue(what, code="SAGA-1004") from None


# ------------------------------------------------------------------------------------------------------------- amqp

_Action = Callable[[aiormq.Channel], Awaitable[object]]


@asynccontextmanager
async def _linked(url: str) -> AsyncIterator[Link]:
    with _addressed():
        link = await Link.open(url, name="saga topology")
    try:
        yield link
    finally:
        await link.close()


async def _on_own_channel(link: Link, action: str, perform: _Action) -> None:
    channel = await link.open_channel(confirms=False)
    try:
        with Translated(link.place, action):
            async with asyncio.timeout(RPC_SECONDS):
                await perform(channel)
    finally:
        await close_quietly(channel)


async def _found(link: Link, place: str, check: _Action) -> bool:
    try:
        await _on_own_channel(link, f"look for {place}", check)
    except MissingQueue:
        return False
    return True


async def _exists(link: Link, queue: Queue) -> bool:
    return await _found(link, f"queue {queue.name}", _queue_check(queue))


def _exchange_check(exchange: Exchange) -> _Action:
    return lambda channel: channel.exchange_declare(exchange.name, passive=True)


def _queue_check(queue: Queue) -> _Action:
    return lambda channel: channel.queue_declare(queue.name, passive=True)


def _queue_look(queue: Queue, into: dict[str, QueueLook]) -> _Action:
    async def check(channel: aiormq.Channel) -> None:
        found = await channel.queue_declare(queue.name, passive=True)
        into[queue.name] = QueueLook(found.message_count or 0, found.consumer_count or 0)

    return check


def _exchange_declaration(exchange: Exchange) -> _Action:
    return lambda channel: channel.exchange_declare(exchange.name, exchange_type=exchange.type, durable=True)


def _queue_declaration(queue: Queue, policies: tuple[Policy, ...]) -> _Action:
    arguments: FieldTable = {**arguments_of(queue, policies)}
    return lambda channel: channel.queue_declare(queue.name, durable=True, arguments=arguments)


def _bind(binding: Binding) -> _Action:
    return lambda channel: channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)


def vhost_of(url: str) -> str:
    """The vhost an address names. Raises BadValue."""
    with _addressed():
        parsed = broker_url(url)
    return parsed.path.removeprefix("/").replace("%2F", "/") or "/"
