"""Catalog: the plans of published definitions, kept in memory by hash and by name."""

from saga.core.definition import decode
from saga.core.plan import Plan, plan_of
from saga.ports import Clock, Definitions

REFRESH_SECONDS = 5.0
"""How old the list of names may be when a start asks for a definition that is not in it, or for no version."""


class Catalog:
    """Reads through to the store; a definition never changes under its hash, so plans are kept for good."""

    def __init__(self, definitions: Definitions, clock: Clock) -> None:
        self._definitions = definitions
        self._clock = clock
        self._plans: dict[str, Plan] = {}
        self._versions: dict[str, dict[int, str]] = {}
        self._refreshed_at = float("-inf")

    async def by_hash(self, content_hash: str) -> Plan | None:
        """The plan of a stored definition; None when the store does not have it."""
        plan = self._plans.get(content_hash)
        if plan is None:
            stored = await self._definitions.get(content_hash)
            if stored is None:
                return None
            plan = self._plans[content_hash] = plan_of(decode(stored.canonical), content_hash)
        return plan

    async def by_name(self, name: str, version: int | None) -> Plan | None:
        """A version of a definition, or its newest; None when nothing of the kind is published."""
        if self._clock.monotonic() - self._refreshed_at > REFRESH_SECONDS:
            await self._refresh()
        versions = self._versions.get(name, {})
        content_hash = versions.get(max(versions) if versions and version is None else version or 0)
        return None if content_hash is None else await self.by_hash(content_hash)

    async def names(self) -> list[str]:
        """Names of everything published."""
        await self._refresh()
        return sorted(self._versions)

    async def services(self) -> frozenset[str]:
        """Every service that some published definition sends commands to."""
        await self._refresh()
        found: set[str] = set()
        for versions in self._versions.values():
            for content_hash in versions.values():
                plan = await self.by_hash(content_hash)
                found |= {step.command.service for step in plan.steps.values()} if plan is not None else set()
        return frozenset(found)

    async def _refresh(self) -> None:
        versions: dict[str, dict[int, str]] = {}
        for stored in await self._definitions.named():
            versions.setdefault(stored.name, {})[stored.version] = stored.hash
        self._versions = versions
        self._refreshed_at = self._clock.monotonic()
