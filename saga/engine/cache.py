"""Live sagas in memory. A cache is never trusted: every batch reads the tail of each saga's history first."""

import logging
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from saga.core import events
from saga.core.about import of_saga
from saga.core.errors import Unavailable
from saga.core.evolve import evolve_commit
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine.catalog import Catalog
from saga.ports import Journal, Tail

log = logging.getLogger("saga.engine")


class Live(msgspec.Struct, frozen=True):
    """A saga as this process knows it."""

    plan: Plan
    state: SagaState
    dispatched_version: int


class Found(msgspec.Struct):
    """What a read brought. A saga that is in neither does not exist."""

    live: dict[str, Live] = {}
    unreadable: dict[str, str] = {}
    """Sagas whose history this release cannot read, and why."""
    below: dict[str, int] = {}
    """How many sagas there are below the roots of children that may begin."""


class SagaCache:
    """Bounded; the least recently used saga goes first and is simply read again."""

    def __init__(self, journal: Journal, catalog: Catalog, sagas_max: int) -> None:
        self._journal = journal
        self._catalog = catalog
        self._sagas_max = sagas_max
        self._live: OrderedDict[str, Live] = OrderedDict()

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._live)

    async def current(self, sagas: Iterable[str]) -> dict[str, Live]:
        """The present state of each saga that exists and can be read. Raises Unavailable."""
        return (await self.read(sagas)).live

    async def read(self, sagas: Iterable[str]) -> Found:
        """The present state of each saga, in one read of their tails. Raises Unavailable."""
        wanted = dict.fromkeys(sagas)
        found = Found()
        if not wanted:
            return found
        since = {saga: live.state.version if (live := self._live.get(saga)) else 0 for saga in wanted}
        for saga, tail in (await self._journal.load(since)).items():
            try:
                found.live[saga] = self.keep(await self._folded(tail))
            except Unavailable:
                raise
            except Exception as error:  # whatever it is, one bad history must not stop the others
                known = self._live.get(saga)
                root = "" if known is None else known.state.root
                log.exception("a saga cannot be read", extra=of_saga(saga, root, tail.name))
                self.forget(saga)
                found.unreadable[saga] = f"{type(error).__name__}: {error}"
        return found

    def keep(self, live: Live) -> Live:
        """Remember a state that is committed. One that has ended is not worth the room."""
        saga = live.state.saga
        if live.state.terminal:
            self._live.pop(saga, None)
            return live
        self._live[saga] = live
        self._live.move_to_end(saga)
        while len(self._live) > self._sagas_max:
            self._live.popitem(last=False)
        return live

    def forget(self, saga: str) -> None:
        """After a lost race, or a defect: read it whole next time."""
        self._live.pop(saga, None)

    async def _folded(self, tail: Tail) -> Live:
        known = self._live.get(tail.saga)
        plan = known.plan if known is not None else await self._catalog.by_hash(tail.definition)
        state = None if known is None else known.state
        for commit in tail.commits:
            state = evolve_commit(state, events.decode(commit))
        if state is None:
            raise ValueError(f"the history of {tail.saga} is empty")
        return Live(plan, state, tail.dispatched_version)
