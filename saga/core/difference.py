"""What on a broker is not as wanted, one thing at a time."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from saga.core.topology import EVENTS, NOTHING, RESULTS, Binding, TopicRight, Topology, User

OURS = "saga."
OF_THEIR_OWNERS = (f"{RESULTS}.", f"{EVENTS}.")
"""Queues that callers and subscribers make for themselves."""


class Difference(msgspec.Struct, frozen=True, order=True):
    """One thing on the broker that is not as wanted."""

    kind: str
    """`missing`, `differs`, or `extra`: there, though nobody wants it."""
    what: str
    detail: str = ""
    """What is wanted and what is there."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def difference(wanted: Topology, actual: Topology) -> tuple[Difference, ...]:
    """What must change. Only what concerns the engine's own names can be `extra`.

    A topology without users says nothing about them.
    """
    return tuple(
        sorted(
            {
                *_compared("exchange", {e.name: e for e in wanted.exchanges}, {e.name: e for e in actual.exchanges}),
                *_compared("queue", {q.name: q for q in wanted.queues}, {q.name: q for q in actual.queues}),
                *_compared("policy", {p.name: p for p in wanted.policies}, {p.name: p for p in actual.policies}),
                *_compared("user", _rights(wanted), _rights(actual)),
                *_bindings(wanted, actual),
                *_extra_places(wanted, actual),
                *_extra_policies(wanted, actual),
                *_extra_users(wanted, actual),
            }
        )
    )


def _compared(
    kind: str, wanted: Mapping[str, msgspec.Struct], actual: Mapping[str, msgspec.Struct]
) -> Iterable[Difference]:
    for name, value in wanted.items():
        if name not in actual:
            yield Difference("missing", f"{kind} {name}")
        elif actual[name] != value:
            yield Difference("differs", f"{kind} {name}", _fields(value, actual[name]))


def _fields(wanted: msgspec.Struct, actual: msgspec.Struct) -> str:
    pairs = [(name, getattr(wanted, name), getattr(actual, name)) for name in wanted.__struct_fields__]
    return "; ".join(f"{name}: wanted {_shown(want)}, is {_shown(have)}" for name, want, have in pairs if want != have)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "nothing"
    if isinstance(value, TopicRight):
        return f"{value.exchange} (write {value.write}, read {value.read})"
    return value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()


def _rights(topology: Topology) -> dict[str, User]:
    return {user.name: _plain(user) for user in topology.users}


def _plain(user: User) -> User:
    """With one spelling for each meaning: an empty expression allows nothing, and order says nothing."""
    topics = [
        TopicRight(right.exchange, right.write or NOTHING, right.read or NOTHING) for right in sorted(user.topics)
    ]
    return User(
        user.name,
        user.configure or NOTHING,
        user.write or NOTHING,
        user.read or NOTHING,
        topics=tuple(topics),
        tags=tuple(sorted(user.tags)),
    )


def _bindings(wanted: Topology, actual: Topology) -> Iterable[Difference]:
    ours = {queue.name for queue in wanted.queues}
    for binding in set(wanted.bindings) - set(actual.bindings):
        yield Difference("missing", _binding_text(binding))
    for binding in set(actual.bindings) - set(wanted.bindings):
        if binding.queue in ours and binding.exchange:
            yield Difference("extra", _binding_text(binding), "messages come to the queue that are not meant for it")


def _binding_text(binding: Binding) -> str:
    return f"binding {binding.exchange} -> {binding.queue} under {binding.routing_key!r}"


def _extra_places(wanted: Topology, actual: Topology) -> Iterable[Difference]:
    exchanges, queues = {e.name for e in wanted.exchanges}, {q.name for q in wanted.queues}
    for exchange in actual.exchanges:
        if exchange.name.startswith(OURS) and exchange.name not in exchanges:
            yield Difference("extra", f"exchange {exchange.name}")
    for queue in actual.queues:
        foreign = not queue.name.startswith(OURS) or queue.name.startswith(OF_THEIR_OWNERS)
        if not foreign and queue.name not in queues:
            yield Difference("extra", f"queue {queue.name}", "no definition sends to it")


def _extra_policies(wanted: Topology, actual: Topology) -> Iterable[Difference]:
    """A queue obeys one policy only: another that matches may take the place of ours."""
    names = {policy.name for policy in wanted.policies}
    for policy in actual.policies:
        touched = [queue.name for queue in wanted.queues if _matches(policy.pattern, queue.name)]
        if policy.name not in names and touched:
            detail = f"pattern {policy.pattern}, priority {policy.priority}: may rule {_some(touched)}"
            yield Difference("extra", f"policy {policy.name}", detail)


def _extra_users(wanted: Topology, actual: Topology) -> Iterable[Difference]:
    """Who may touch what is ours, and nobody wants them to."""
    if not wanted.users:
        return
    names = {user.name for user in wanted.users}
    places = [*(exchange.name for exchange in wanted.exchanges), *(queue.name for queue in wanted.queues)]
    for user in map(_plain, actual.users):
        rights = [("configure", user.configure), ("write", user.write), ("read", user.read)]
        touched = [f"{right} {pattern}" for right, pattern in rights if any(_matches(pattern, name) for name in places)]
        if user.name not in names and touched:
            yield Difference("extra", f"user {user.name}", f"may {', '.join(touched)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _matches(pattern: str, name: str) -> bool:
    """As the broker does; an expression only the broker understands is taken to match."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True
