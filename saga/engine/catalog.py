"""Catalog: the plans of published definitions, kept in memory by hash and by name."""

from collections.abc import Iterable

from saga.core.definition import decode
from saga.core.errors import SagaError
from saga.core.plan import Plan, plan_of
from saga.ports import Clock, Definitions

REFRESH_SECONDS = 5.0
"""How long a newly published version may go unnoticed by starts that ask for the newest."""

Wanted = tuple[str, int | None]
"""Name and version of a definition; without a version its newest."""


class UnusableDefinition(SagaError):
    """A definition that sagas name and that cannot be run: the store was changed by hand, or by a later release."""

    code = "SAGA-2005"


class Catalog:
    """Reads through to the store; a definition never changes under its hash, so plans are kept for good."""

    def __init__(self, definitions: Definitions, clock: Clock) -> None:
        self._definitions = definitions
        self._clock = clock
        self._plans: dict[str, Plan] = {}
        self._versions: dict[str, dict[int, str]] = {}
        self._refreshed_at = float("-inf")

    async def by_hash(self, content_hash: str) -> Plan:
        """The plan of a stored definition. Raises UnusableDefinition, Unavailable."""
        plan = self._plans.get(content_hash)
        if plan is not None:
            return plan
        stored = await self._definitions.get(content_hash)
        if stored is None:
            raise UnusableDefinition(f"the store has no definition {content_hash[:12]}")
        try:
            plan = plan_of(decode(stored.canonical), content_hash)
        except Exception as error:
            raise UnusableDefinition(f"{stored.name} v{stored.version} cannot be read: {error}") from error
        self._plans[content_hash] = plan
        return plan

    async def resolve(self, wanted: Iterable[Wanted]) -> dict[Wanted, Plan | str]:
        """A plan for each, or the reason why there is none to run; what is not published is left out.

        A name or version that is not known is looked for in the store, once for all: whoever publishes and then
        starts finds it. Raises Unavailable.
        """
        asked = dict.fromkeys(wanted)
        if not asked:
            return {}
        stale = self._clock.monotonic() - self._refreshed_at > REFRESH_SECONDS
        if stale or any(self._hash(each) is None for each in asked):
            await self._refresh()
        found: dict[Wanted, Plan | str] = {}
        for each in asked:
            content_hash = self._hash(each)
            if content_hash is None:
                continue
            try:
                found[each] = await self.by_hash(content_hash)
            except UnusableDefinition as error:
                found[each] = str(error)
        return found

    def known(self) -> dict[str, tuple[int, ...]]:
        """The versions of each published name, as last read."""
        return {name: tuple(sorted(versions)) for name, versions in sorted(self._versions.items())}

    async def names(self) -> list[str]:
        """Names of everything published. Raises Unavailable."""
        await self._refresh()
        return sorted(self._versions)

    async def services(self) -> frozenset[str]:
        """Every service that some published definition sends commands to. Raises Unavailable, UnusableDefinition."""
        await self._refresh()
        found: set[str] = set()
        for versions in self._versions.values():
            for content_hash in versions.values():
                plan = await self.by_hash(content_hash)
                found |= {step.command.service for step in plan.steps.values()}
        return frozenset(found)

    def _hash(self, wanted: Wanted) -> str | None:
        name, version = wanted
        versions = self._versions.get(name)
        if not versions:
            return None
        return versions.get(max(versions) if version is None else version)

    async def _refresh(self) -> None:
        versions: dict[str, dict[int, str]] = {}
        for stored in await self._definitions.named():
            versions.setdefault(stored.name, {})[stored.version] = stored.hash
        self._versions = versions
        self._refreshed_at = self._clock.monotonic()
