"""The sink that tells the world: lifecycle events of committed events, published for whoever subscribed.

A subscriber sees the events of one saga in the order of their versions; after a crash or an outage some come again,
with the same ids. The bus is opened when there is something to say, and is no other's: what happens to it here does not
touch the commands of an orchestrator beside it.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

import msgspec

from saga.core import events
from saga.core.about import of_saga
from saga.core.errors import SchemaMismatch, Unavailable
from saga.core.evolve import evolve_commit, fold
from saga.core.lifecycle import LifecycleEvent, lifecycle
from saga.core.limits import unsendable
from saga.core.metrics.tally import Tallies
from saga.core.state import SagaState
from saga.engine.catalog import Catalog
from saga.engine.follow import Recorded, about
from saga.engine.measures import Committed
from saga.engine.operations import Operation, Operations, verb_of
from saga.ports import Bus, Journal, Outgoing, Tail
from saga.wire import lifecycle_to_wire

log = logging.getLogger("saga.engine")

LOADED_AT_ONCE_MAX = 50
"""Histories in memory at a time: a saga may record 1 MiB."""
REFUSED_FIX = "saga topology apply makes the exchange, saga topology export writes the right to publish there"


class Told(msgspec.Struct, frozen=True, eq=False):
    """What a saga's commits of one batch come to."""

    state: SagaState
    events: list[LifecycleEvent]
    operations: list[Operation]


class LifecycleSink:
    """Publishes on `saga.events`, and counts what operators committed. Keeps the states of open sagas, of a bounded
    number of them."""

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        open_bus: Callable[[], Awaitable[Bus]],
        *,
        sagas_max: int,
        tallies: Tallies | None = None,
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._open_bus = open_bus
        self._sagas_max = sagas_max
        self._bus: Bus | None = None
        self._states: OrderedDict[str, SagaState] = OrderedDict()
        self._operations = Operations(tallies)

    async def deliver(self, commits: Sequence[Recorded]) -> None:
        """Publish what the commits tell and wait for the confirms. Raises Unavailable: then all of it comes again."""
        by_saga: dict[str, list[Recorded]] = {}
        for commit in commits:
            by_saga.setdefault(commit.saga, []).append(commit)
        told: list[Told] = []
        sagas = list(by_saga)
        for first in range(0, len(sagas), LOADED_AT_ONCE_MAX):
            some = sagas[first : first + LOADED_AT_ONCE_MAX]
            told += await self._told({saga: by_saga[saga] for saga in some})
        for wave in waves([each.events for each in told]):
            await self._publish(wave)
        for each in told:
            self._keep(each.state)
        self._operations.count([operation for each in told for operation in each.operations])

    async def close(self) -> None:
        """Close the bus, if it was opened."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _told(self, by_saga: Mapping[str, Sequence[Recorded]]) -> list[Told]:
        lacking = {saga: 0 for saga, recorded in by_saga.items() if self._lacks(saga, recorded[0].version)}
        tails = await self._journal.load(lacking) if lacking else {}
        found: list[Told] = []
        for saga, recorded in by_saga.items():
            try:
                found.append(await self._tell(recorded, tails.get(saga)))
            except (Unavailable, SchemaMismatch):
                raise
            except Exception:  # one bad history must not stop the others
                log.exception("a saga's lifecycle events cannot be told", extra=about(recorded))
        return found

    def _lacks(self, saga: str, version: int) -> bool:
        """Whether the state before this version has to be read."""
        known = self._states.get(saga)
        return version > 1 and (known is None or known.version != version - 1)

    async def _tell(self, recorded: Sequence[Recorded], tail: Tail | None) -> Told:
        first = recorded[0].version
        state = self._states.get(recorded[0].saga) if first > 1 else None
        if tail is not None:
            state = fold(map(events.decode, tail.commits[: first - 1]))
        told: list[LifecycleEvent] = []
        operations: list[Operation] = []
        for commit in recorded:
            if commit.version != (0 if state is None else state.version) + 1:
                raise ValueError(f"the history of {commit.saga} lacks what is before commit {commit.version}")
            before, state = state, evolve_commit(state, commit.events)
            plan = await self._catalog.by_hash(state.definition)
            told += lifecycle(plan, before, state, commit.events, commit.at)
            if (verb := verb_of(commit.cause)) is not None:
                operations.append(Operation(verb, Committed(plan, before, state, commit.events)))
        assert state is not None
        return Told(state, told, operations)

    async def _publish(self, wave: Sequence[LifecycleEvent]) -> None:
        messages = list(_sendable(wave))
        if not messages:
            return
        if self._bus is None:
            self._bus = await self._open_bus()
        for sent in await self._bus.publish(messages):
            if sent.outcome != "confirmed":
                fix = f". Fix: {REFUSED_FIX}" if sent.outcome == "refused" else ""
                raise Unavailable(f"a lifecycle event was not taken ({sent.outcome}): {sent.detail}{fix}")

    def _keep(self, state: SagaState) -> None:
        """A saga that has ended is not worth the room."""
        if state.terminal:
            self._states.pop(state.saga, None)
            return
        self._states[state.saga] = state
        self._states.move_to_end(state.saga)
        while len(self._states) > self._sagas_max:
            self._states.popitem(last=False)


def _sendable(wave: Sequence[LifecycleEvent]) -> Iterator[Outgoing]:
    """What can never be sent is said and passed over: tried again, it would keep back all that follows."""
    for event in wave:
        message = lifecycle_to_wire(event)
        if (problem := unsendable(message)) is None:
            yield message
            continue
        extra = of_saga(event.saga, event.root, event.name) | {"moment": event.moment, "reason": problem}
        log.error("a lifecycle event can never be sent", extra=extra)


def waves(told: Sequence[Sequence[LifecycleEvent]]) -> Iterator[list[LifecycleEvent]]:
    """Every saga's first event, then every second one, …: what is published together needs no order among itself, and
    nothing is published before what it follows was confirmed."""
    for wave in zip_longest(*told):
        yield [event for event in wave if event is not None]
