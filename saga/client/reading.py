"""Reading what people are asked: requests for approval, from the histories of the sagas that wait for them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from saga.core import events
from saga.core.children import KEY, SERVICE
from saga.core.definition import decode
from saga.core.evolve import fold
from saga.core.identity import idempotency_key
from saga.core.messages import Kind
from saga.core.pending import ApprovalDetail, approval_at, pending
from saga.core.plan import Plan, plan_of
from saga.core.state import SagaState
from saga.ports import Definitions, Lookup, SagaFilter, SagaRow, Tail

WAITS = ("approval", "paused")
"""A saga that waits for a decision says so first of all, unless it is paused."""
READ_AT_ONCE = 100


class Reading(Lookup, Definitions, Protocol):
    """What of a store is read."""

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """See `saga.ports.Journal`."""
        ...


class Approvals:
    """Looks at requests; keeps plans and states only as long as one look takes."""

    def __init__(self, store: Reading) -> None:
        self._store = store
        self._plans: dict[str, Plan] = {}
        self._states: dict[str, SagaState] = {}

    async def waiting(
        self, *, root: str | None = None, name: str | None = None, limit: int = 50
    ) -> Sequence[ApprovalDetail]:
        """Requests somebody can decide on, of the sagas that wait longest first; at most so many sagas are looked at.

        With `root` those of one root and of everything below it. Raises Unavailable.
        """
        found: list[ApprovalDetail] = []
        rows = await self._rows(root, name, limit)
        await self._read([row.saga for row in rows])
        for row in rows:
            state = await self._state(row.saga)
            found += pending(await self._plan(row.definition), state, await self._steps(state))
        return found

    async def find(self, saga: str, place: str) -> ApprovalDetail | None:
        """The latest request at a path of a saga, open or not, or at a place below it. Raises Unavailable."""
        state = await self._state(saga)
        plan = await self._plan(state.definition)
        found = approval_at(plan, state, place, await self._steps(state))
        if found is not None:
            return found
        for path, step in state.steps.items():
            command = plan.step(path).command
            if command.service != SERVICE or not place.startswith(f"{path}/"):
                continue
            key = KEY + idempotency_key(saga, path, Kind.ACTION, step.action.number)
            for row in await self._store.sagas(SagaFilter(root=state.root, name=command.name, start_key=key)):
                return await self.find(row.saga, place.removeprefix(f"{path}/"))
        return None

    async def _rows(self, root: str | None, name: str | None, limit: int) -> list[SagaRow]:
        rows: list[SagaRow] = []
        for kind in WAITS:
            here = SagaFilter(name=name, wait_kind=kind, root=root, limit=limit, oldest_first=True)
            rows += await self._store.sagas(here)
            if root is not None:
                rows += await self._store.sagas(SagaFilter(ids=(root,), name=name, wait_kind=kind))
        return rows[:limit]

    async def _read(self, sagas: Sequence[str]) -> None:
        """The states of all of them, many at a time."""
        for first in range(0, len(sagas), READ_AT_ONCE):
            some = sagas[first : first + READ_AT_ONCE]
            for saga, tail in (await self._store.load(dict.fromkeys(some, 0))).items():
                self._states[saga] = fold(events.decode(commit) for commit in tail.commits)

    async def _steps(self, state: SagaState) -> tuple[str, ...]:
        """The steps that lead from the root to this saga."""
        steps: tuple[str, ...] = ()
        while state.asked_by is not None:
            steps = (state.asked_by.path, *steps)
            state = await self._state(state.asked_by.saga)
        return steps

    async def _state(self, saga: str) -> SagaState:
        if saga not in self._states:
            commits, after = list[bytes](), 0
            while page := await self._store.history(saga, after):
                commits += [row.data for row in page]
                after = page[-1].version
            self._states[saga] = fold(events.decode(commit) for commit in commits)
        return self._states[saga]

    async def _plan(self, content_hash: str) -> Plan:
        if content_hash not in self._plans:
            stored = await self._store.get(content_hash)
            if stored is None:
                raise ValueError(f"the store has no definition {content_hash[:12]}")
            self._plans[content_hash] = plan_of(decode(stored.canonical), content_hash)
        return self._plans[content_hash]
