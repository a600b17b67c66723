"""What a look at store and broker comes to: findings, each with what to do. Pure: the looking is done elsewhere."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from saga.core.codes import code_of
from saga.core.difference import difference
from saga.core.topology import CONTROL, DEAD, PARKING, REPLIES, START, Topology, command_queue

Severity = Literal["error", "warning", "note"]
"""An error keeps sagas from going on, a warning wants a person, a note is only worth knowing."""

CLOCK_SKEW_MAX = timedelta(seconds=2)
ALARM_LATE_MAX = timedelta(seconds=60)
"""An orchestrator that is alive takes an alarm within a second or two."""
NAMED_MAX = 5
ENGINE_QUEUES = (START, REPLIES, CONTROL, PARKING, DEAD)


class Finding(msgspec.Struct, frozen=True):
    """One thing an operator should know."""

    severity: Severity
    area: Literal["settings", "store", "broker", "sagas", "messages"]
    what: str
    why: str
    fix: str


class QueueLook(msgspec.Struct, frozen=True):
    """A queue as the broker tells it."""

    messages: int
    """Ready; those delivered and not acknowledged do not count."""
    consumers: int


class BrokerLook(msgspec.Struct, frozen=True):
    """What is on the broker of what is wanted."""

    missing: tuple[str, ...]
    """Exchanges and queues, e.g. `queue saga.replies`."""
    queues: Mapping[str, QueueLook]
    """Those that are there."""


def clock_findings(store: datetime, here: datetime) -> Iterable[Finding]:
    """The store's clock decides what is due; a machine that differs shows wrong ages and gives wrong deadlines."""
    skew = here - store
    if abs(skew) > CLOCK_SKEW_MAX:
        how = f"{_length(abs(skew))} {'ahead of' if skew > timedelta() else 'behind'}"
        yield Finding(
            "warning",
            "store",
            f"this machine's clock is {how} the store's",
            "Deadlines are the store's; what this machine shows and sends is off by that much.",
            "set both clocks by NTP",
        )


def alarm_findings(due: Iterable[datetime], now: datetime) -> Iterable[Finding]:
    """Alarms long past that nobody takes: what they belong to does not go on."""
    late = [now - each for each in due if now - each > ALARM_LATE_MAX]
    if late:
        yield Finding(
            "error",
            "sagas",
            f"sagas are due since {_length(max(late))}, and no orchestrator looks at them",
            "An orchestrator takes alarms within seconds: none runs on this store, or those that run cannot keep up.",
            "saga run with this --store; its /readyz says what it lacks",
        )


def broker_findings(look: BrokerLook, services: Mapping[str, Iterable[str]]) -> Iterable[Finding]:
    """`services` are those of the published definitions, with the definitions that use each."""
    told_apart = {f"queue {command_queue(service)}" for service in services}
    missing = [place for place in look.missing if place not in told_apart]
    if missing:
        yield Finding(
            "error",
            "broker",
            f"the broker lacks {_some(missing)}",
            "Topology is declared once, by a deploy user: participants and orchestrators declare nothing.",
            "saga topology apply",
        )
    yield from _orchestrators(look)
    for service, names in services.items():
        yield from _service(service, tuple(names), look)


def _orchestrators(look: BrokerLook) -> Iterable[Finding]:
    idle = [name for name in ENGINE_QUEUES if name in look.queues and not look.queues[name].consumers]
    if idle:
        waiting = sum(look.queues[name].messages for name in idle)
        yield Finding(
            "error",
            "broker",
            f"no orchestrator reads {_some(idle)}; messages waiting there: {waiting}",
            "None runs on this broker and vhost, or those that run lost their consumers.",
            "saga run; its /readyz says what it lacks",
        )


def _service(service: str, names: tuple[str, ...], look: BrokerLook) -> Iterable[Finding]:
    queue = look.queues.get(command_queue(service))
    users = f"used by {_some(names)}"
    if queue is None:
        yield Finding(
            "error",
            "broker",
            f"the service {service} has no queue ({users})",
            f"{command_queue(service)} is not on this broker: its commands reach nobody and wait in the store.",
            "saga topology apply, or the right name in the contract",
        )
    elif not queue.consumers:
        yield Finding(
            "error" if queue.messages else "warning",
            "broker",
            f"nobody serves {service} ({users}); commands waiting: {queue.messages}",
            f"{command_queue(service)} has no consumer: no participant runs for it, or it lost its connection.",
            f"saga serve MODULE:OBJECT for {service}; its /readyz says what it lacks",
        )


def binding_findings(wanted: Topology, actual: Topology) -> Iterable[Finding]:
    """Bindings and policies, of the queues and exchanges that are there; users are another matter."""
    exchanges, queues = {each.name for each in actual.exchanges}, {each.name for each in actual.queues}
    bindings = tuple(each for each in wanted.bindings if each.exchange in exchanges and each.queue in queues)
    narrowed = msgspec.structs.replace(wanted, bindings=bindings, users=())
    found = [one for one in difference(narrowed, actual) if one.what.startswith(("binding ", "policy "))]
    for kind, severity, why in _DIFFERENCES:
        named = [one.what for one in found if one.kind == kind]
        if named:
            yield Finding(severity, "broker", f"{kind}: {_some(named)}", why, "saga topology diff")


_DIFFERENCES: tuple[tuple[str, Severity, str], ...] = (
    ("missing", "error", "Messages do not reach their queue, or a queue has no limits: apply or import the topology."),
    ("differs", "warning", "Somebody changed it by hand, or it is of another release."),
    ("extra", "warning", "Messages go where nobody expects them, or queues obey other rules than ours."),
)


def word_finding(severity: Severity, area: Literal["sagas", "messages"], word: str, what: str, todo: str) -> Finding:
    """A finding about a word of the wire, with what the catalogue knows of it."""
    known = code_of(word)
    if known is None:
        return Finding(severity, area, what, f"The reason is {word}.", todo)
    return Finding(severity, area, what, known.why, f"{known.fix}; then {todo}")


def _length(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED_MAX} more" if len(listed) > NAMED_MAX else ""
    return ", ".join(listed[:NAMED_MAX]) + more
