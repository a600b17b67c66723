"""Live sagas in memory. A cache is never trusted: every batch reads the tail of each saga's history first."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

import msgspec

from saga.core import events
from saga.core.evolve import evolve_commit
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine.catalog import Catalog
from saga.ports import Journal


class Live(msgspec.Struct, frozen=True):
    """A saga as this process knows it."""

    plan: Plan
    state: SagaState
    wake_at: datetime | None
    """What its row says, as far as this process knows: a claim by another may have pushed it out by a lease."""
    dispatched_version: int


class SagaCache:
    """Bounded; the least recently used saga goes first and is simply read again."""

    def __init__(self, journal: Journal, catalog: Catalog, sagas_max: int) -> None:
        self._journal = journal
        self._catalog = catalog
        self._sagas_max = sagas_max
        self._live: OrderedDict[str, Live] = OrderedDict()

    async def current(self, sagas: Iterable[str]) -> dict[str, Live]:
        """The present state of each saga, in one read of their tails; sagas that do not exist are left out."""
        wanted = list(dict.fromkeys(sagas))
        if not wanted:
            return {}
        since = {saga: live.state.version if (live := self._live.get(saga)) else 0 for saga in wanted}
        found: dict[str, Live] = {}
        for saga, tail in (await self._journal.load(since)).items():
            known = self._live.get(saga)
            plan = known.plan if known is not None else await self._catalog.by_hash(tail.definition)
            if plan is None:
                continue  # a definition this store never had: the store was changed by hand
            state = None if known is None else known.state
            for commit in tail.commits:
                state = evolve_commit(state, events.decode(commit))
            if state is not None:
                found[saga] = self.keep(saga, Live(plan, state, tail.wake_at, tail.dispatched_version))
        return found

    def keep(self, saga: str, live: Live) -> Live:
        """Remember a state that is committed."""
        if live.state.terminal:
            self._live.pop(saga, None)
            return live
        self._live[saga] = live
        self._live.move_to_end(saga)
        while len(self._live) > self._sagas_max:
            self._live.popitem(last=False)
        return live

    def peek(self, saga: str) -> Live | None:
        """What is remembered, however old."""
        return self._live.get(saga)

    def forget(self, saga: str) -> None:
        """After a lost race, or a defect: read it whole next time."""
        self._live.pop(saga, None)
