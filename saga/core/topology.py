"""The exchanges, queues, bindings, policies and users the engine wants on a broker, as data.

Names follow the wire contract. What a user may do is written with the three permission expressions of RabbitMQ and,
for topic exchanges, with the keys it may write and bind:

- participant: reads its own queue, answers on `saga.replies` under `<service>.`, parks under its queue's name;
- caller: starts, signals and controls under the keys it was granted, and owns the queues `saga.results.<user>.*`,
  which it can bind to `saga.results` under `<user>.` only; the routing key of a queue is its name without the prefix;
- subscriber: owns the queues `saga.events.<user>.*`, bound to `saga.events`;
- orchestrator: reads what comes in, alone writes commands; deploy: configures, and nothing else does.

Queues are quorum queues. Limits and dead-lettering are policies, which can change while a queue lives.
"""

import re
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from saga.contract import ENGINE_SERVICE
from saga.core.bounds import ACTION_EXPIRES_AFTER
from saga.core.errors import BadValue

SERVICE = ENGINE_SERVICE
"""The engine's own: it takes the commands that start and undo sub-sagas."""
START, COMMANDS, REPLIES, SIGNALS = "saga.start", "saga.commands", "saga.replies", "saga.signals"
CONTROL, RESULTS, EVENTS, PARKING, DEAD = "saga.control", "saga.results", "saga.events", "saga.parking", "saga.dead"

DELIVERY_LIMIT = 100
"""Crashes with a full prefetch count against innocents too, so the limit is far above what a poison message needs."""
KEEP_DELIVERY_LIMIT = 100_000
"""Of queues that have no further place for their messages; a broker of version 4 drops after 20 by default."""
COMMAND_TTL_MS = (ACTION_EXPIRES_AFTER - timedelta(hours=1)) // timedelta(milliseconds=1)
"""A command waits in its queue for less than the margin by which the engine stops sending a key before it may be
forgotten; the hour is for the work on it and for clocks that disagree. Compensations carry no expiry of their own."""
RESULTS_EXPIRE_MS = 24 * 3_600_000
"""A caller's queue that nobody reads for a day goes away."""

NOTHING = "^$"
DEAD_LETTERED: dict[str, str | int] = {
    "delivery-limit": DELIVERY_LIMIT,
    "dead-letter-exchange": DEAD,
    "dead-letter-strategy": "at-least-once",
    "overflow": "reject-publish",  # at-least-once silently becomes at-most-once without it
}
COMMANDS_DEAD_LETTERED: dict[str, str | int] = {**DEAD_LETTERED, "message-ttl": COMMAND_TTL_MS}
KEPT: dict[str, str | int] = {"delivery-limit": KEEP_DELIVERY_LIMIT}


class Exchange(msgspec.Struct, frozen=True, order=True):
    """Durable."""

    name: str
    type: str = "topic"


class Queue(msgspec.Struct, frozen=True, order=True):
    """Durable."""

    name: str
    type: str = "quorum"


class Binding(msgspec.Struct, frozen=True, order=True):
    """From an exchange to a queue."""

    exchange: str
    queue: str
    routing_key: str


class Policy(msgspec.Struct, frozen=True):
    """Settings of every queue whose name matches."""

    name: str
    pattern: str
    definition: dict[str, str | int]
    priority: int = 0


class TopicRight(msgspec.Struct, frozen=True, order=True):
    """Which routing keys a user may publish with (`write`) and bind (`read`) on one exchange."""

    exchange: str
    write: str = NOTHING
    read: str = NOTHING


class User(msgspec.Struct, frozen=True):
    """A broker user and all it may do."""

    name: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[TopicRight, ...] = ()
    tags: tuple[str, ...] = ()


class Topology(msgspec.Struct, frozen=True):
    """What is wanted on a broker, or what is there."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    policies: tuple[Policy, ...] = ()
    users: tuple[User, ...] = ()


EXCHANGES = (
    *(Exchange(name) for name in (START, COMMANDS, REPLIES, SIGNALS, CONTROL, RESULTS, EVENTS, PARKING)),
    Exchange(DEAD, "fanout"),
)
POLICIES = (
    # First and above the next one, which took in these queues too in brokers that were set up before.
    Policy("saga-commands", r"^saga\.commands\..+$", COMMANDS_DEAD_LETTERED, priority=1),
    Policy("saga", r"^saga\.(start|replies|signals|control)$", DEAD_LETTERED),
    Policy("saga-kept", r"^saga\.(parking|dead)$", KEPT),
)


def wanted_topology(services: Iterable[str], users: Iterable[User] = ()) -> Topology:
    """Everything for these services, and for the engine's own.

    `users` come from the functions below; none: rights are somebody else's care.
    """
    commands = [(command_queue(service), f"{service}.#") for service in sorted({*services, SERVICE})]
    return Topology(
        exchanges=EXCHANGES,
        queues=tuple(
            Queue(name) for name in (START, REPLIES, SIGNALS, CONTROL, PARKING, DEAD, *(queue for queue, _ in commands))
        ),
        bindings=(
            *(Binding(name, name, "#") for name in (START, REPLIES, SIGNALS, CONTROL, PARKING)),
            Binding(DEAD, DEAD, ""),
            *(Binding(COMMANDS, queue, key) for queue, key in commands),
        ),
        policies=POLICIES,
        users=tuple(users),
    )


def seen_by_participant(service: str) -> Topology:
    """What a participant needs to find: its readiness looks for this."""
    return Topology(exchanges=(Exchange(REPLIES), Exchange(PARKING)), queues=(Queue(command_queue(service)),))


def seen_by_orchestrator(services: Iterable[str]) -> Topology:
    """What an orchestrator needs to find: its readiness looks for this."""
    whole = wanted_topology(services)
    return Topology(exchanges=whole.exchanges, queues=whole.queues)


def command_queue(service: str) -> str:
    """Where the commands of a service wait."""
    return f"{COMMANDS}.{service}"


def result_queue(user: str, client: str) -> str:
    """The queue of a caller's answers."""
    return f"{RESULTS}.{result_key(user, client)}"


def result_key(user: str, client: str) -> str:
    """The routing key of a caller's answers on `saga.results`: what it puts into `reply_to`."""
    return f"{user}.{client}"


# ------------------------------------------------------------------------------------------------------------- users


def participant(service: str, user: str | None = None) -> User:
    """May read its commands, answer them, and park what it cannot read."""
    own = re.escape(_one_word(service))
    queue = f"^{re.escape(command_queue(service))}$"
    return User(
        user or service,
        write=_any_of(REPLIES, PARKING),
        read=queue,
        topics=(TopicRight(REPLIES, write=rf"^{own}\."), TopicRight(PARKING, write=queue)),
    )


def caller(user: str, *, starts: Iterable[str] = (), signals: Iterable[str] = (), controls: Iterable[str] = ()) -> User:
    """May start sagas of these names, signal those, use these verbs (`cancel`, `decide`), and hear what came of it."""
    granted = {START: tuple(starts), SIGNALS: tuple(signals), CONTROL: tuple(controls)}
    own_queues = rf"{re.escape(RESULTS)}\.{re.escape(_one_word(user))}\..+"
    return User(
        user,
        configure=f"^{own_queues}$",
        # Binding a queue takes the right to write to it and to read the exchange.
        write=f"^({'|'.join([own_queues, *(re.escape(name) for name, keys in granted.items() if keys)])})$",
        read=f"^({own_queues}|{re.escape(RESULTS)})$",
        topics=(
            *(TopicRight(name, write=_any_of(*keys)) for name, keys in granted.items() if keys),
            TopicRight(RESULTS, read=rf"^{re.escape(user)}\."),
        ),
    )


def subscriber(user: str) -> User:
    """May own queues `saga.events.<user>.*` and bind them to `saga.events` under any key."""
    own_queues = rf"{re.escape(EVENTS)}\.{re.escape(_one_word(user))}\..+"
    return User(
        user,
        configure=f"^{own_queues}$",
        write=f"^{own_queues}$",
        read=f"^({own_queues}|{re.escape(EVENTS)})$",
    )


def orchestrator(user: str = "orchestrator") -> User:
    """Alone may write commands; reads everything that comes in. As the participant `saga` it also answers."""
    return User(
        user,
        write=_any_of(START, COMMANDS, REPLIES, RESULTS, EVENTS),
        read=_any_of(START, REPLIES, SIGNALS, CONTROL, PARKING, DEAD, command_queue(SERVICE)),
        topics=(TopicRight(REPLIES, write=r"^saga\."),),
    )


def deploy(user: str = "deploy") -> User:
    """Alone may configure; `policymaker` lets it set policies over HTTP."""
    everything = r"^saga\..+$"
    return User(user, configure=everything, write=everything, read=everything, tags=("policymaker",))


def _one_word(name: str) -> str:
    """Raises BadValue for a name with a dot: `a` would own the queues of `a.b`."""
    if not name or "." in name:
        raise BadValue(f"the name {name!r} is not one word of a routing key. Fix: a name without dots")
    return name


def _any_of(*names: str) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$"
