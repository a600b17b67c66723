"""A topology as RabbitMQ's definitions JSON, for `load_definitions` and for reading what a broker exports."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from saga.core.topology import Binding, Exchange, Policy, Queue, TopicRight, Topology, User

SALT_BYTES = 4
QUORUM = {"x-queue-type": "quorum"}


def definitions_file(topology: Topology, *, vhost: str, password_hashes: Mapping[str, str]) -> bytes:
    """The JSON document. Each user needs a password hash (`password_hash`), or logs in with a certificate.

    A node that loads it at its first start has no user `guest`, so it must name everybody who administers the broker.
    """
    place = {"vhost": vhost}
    document = {
        "vhosts": [{"name": vhost}],
        "users": [_user(user, password_hashes.get(user.name, "")) for user in topology.users],
        "permissions": [
            {"user": u.name, **place, "configure": u.configure, "write": u.write, "read": u.read}
            for u in topology.users
        ],
        "topic_permissions": [
            {"user": user.name, **place, "exchange": right.exchange, "write": right.write, "read": right.read}
            for user in topology.users
            for right in user.topics
        ],
        "exchanges": [_exchange(exchange, place) for exchange in topology.exchanges],
        "queues": [
            {"name": queue.name, **place, "durable": True, "auto_delete": False, "arguments": QUORUM}
            for queue in topology.queues
        ],
        "bindings": [_binding(binding, place) for binding in topology.bindings],
        "policies": [_policy(policy, place) for policy in topology.policies],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def password_hash(password: str, salt: bytes) -> str:
    """As RabbitMQ stores it (salted SHA-256). The salt is `SALT_BYTES` random bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"the salt has {len(salt)} bytes. Fix: {SALT_BYTES}")
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def read_definitions(data: bytes, *, vhost: str) -> Topology:
    """What a broker exported says about one vhost: all of it (`rabbitmqctl export_definitions`,
    `GET /api/definitions`), or that vhost alone, without users (`GET /api/definitions/<vhost>`)."""
    document = msgspec.json.decode(data, type=_Document)
    here = [right for right in document.permissions if right.vhost == vhost]
    topics = [right for right in document.topic_permissions if right.vhost == vhost]
    tags = {user.name: user.tags for user in document.users}
    own = (vhost, "")
    return Topology(
        exchanges=tuple(Exchange(e.name, e.type) for e in document.exchanges if e.vhost in own),
        queues=tuple(
            Queue(q.name, q.arguments.get("x-queue-type", "classic")) for q in document.queues if q.vhost in own
        ),
        bindings=tuple(
            Binding(b.source, b.destination, b.routing_key)
            for b in document.bindings
            if b.vhost in own and b.destination_type == "queue"
        ),
        policies=tuple(
            Policy(p.name, p.pattern, {name: _plain(value) for name, value in p.definition.items()}, p.priority)
            for p in document.policies
            if p.vhost in own and p.apply_to != "exchanges"
        ),
        users=tuple(_read_user(right, topics, tags.get(right.user, ())) for right in here),
    )


def _plain(value: object) -> str | int:
    """A setting of somebody else's policy may be of any kind."""
    return value if isinstance(value, str | int) else str(value)


def _user(user: User, hashed: str) -> dict[str, object]:
    return {
        "name": user.name,
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(user.tags),
    }


def _exchange(exchange: Exchange, place: dict[str, str]) -> dict[str, object]:
    settings = {"durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    return {"name": exchange.name, **place, "type": exchange.type, **settings}


def _binding(binding: Binding, place: dict[str, str]) -> dict[str, object]:
    target = {"destination": binding.queue, "destination_type": "queue"}
    return {"source": binding.exchange, **place, **target, "routing_key": binding.routing_key, "arguments": {}}


def _policy(policy: Policy, place: dict[str, str]) -> dict[str, object]:
    return {
        **place,
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": "queues",
        "definition": policy.definition,
        "priority": policy.priority,
    }


class _Named(msgspec.Struct):
    name: str
    vhost: str = ""
    type: str = "topic"
    tags: tuple[str, ...] | str = ()
    arguments: dict[str, Any] = {}


class _Right(msgspec.Struct):
    user: str
    vhost: str
    write: str
    read: str
    configure: str = ""
    exchange: str = ""


class _Bound(msgspec.Struct):
    source: str
    destination: str
    destination_type: str
    routing_key: str
    vhost: str = ""


class _Ruled(msgspec.Struct):
    name: str
    pattern: str
    definition: dict[str, Any]
    vhost: str = ""
    priority: int = 0
    apply_to: str = msgspec.field(name="apply-to", default="all")


class _Document(msgspec.Struct):
    users: list[_Named] = []
    permissions: list[_Right] = []
    topic_permissions: list[_Right] = []
    exchanges: list[_Named] = []
    queues: list[_Named] = []
    bindings: list[_Bound] = []
    policies: list[_Ruled] = []


def _read_user(right: _Right, topics: Iterable[_Right], tags: tuple[str, ...] | str) -> User:
    words = tuple(tags.split(",")) if isinstance(tags, str) else tags
    return User(
        right.user,
        right.configure,
        right.write,
        right.read,
        topics=tuple(TopicRight(t.exchange, t.write, t.read) for t in topics if t.user == right.user),
        tags=tuple(word for word in words if word),
    )
