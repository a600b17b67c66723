"""Where acts are played: starts sagas, follows their histories, lets people decide, and tells what ledgers say."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from saga.client import Client
from saga.client.reading import Approvals
from saga.core import events
from saga.core.errors import SagaError
from saga.core.inputs import Resolve, Verdict
from saga.core.messages import Choice
from saga.core.pending import ApprovalDetail
from saga.demo.ledgers import Check
from saga.demo.screen import RULE, Screen
from saga.demo.timeline import Entry, Timeline
from saga.demo.town import Town
from saga.engine.catalog import Catalog
from saga.engine.operate import operate
from saga.ports import SagaFilter, Store
from saga.stores import CLOCK

LOOK_SECONDS = 0.03
ACT_SECONDS_MAX = 90.0
ASK_WITHIN = timedelta(seconds=30)
SAGAS_BELOW_MAX = 100
TITLE_WIDTH = 78


class TooSlow(SagaError):
    """An act did not come to its end."""

    code = "SAGA-6003"


class Told(msgspec.Struct):
    """A saga, as far as it was read."""

    saga: str
    timeline: Timeline
    version: int = 0


class Stage:
    """The town as the demo sees it."""

    def __init__(self, town: Town, store: Store, client: Client, screen: Screen, piece: str) -> None:
        self.town = town
        self.screen = screen
        self._store = store
        self._client = client
        self._piece = piece
        self._catalog = Catalog(store, CLOCK)
        self._told: dict[str, dict[str, Told]] = {}
        """By root: the root, then what is below it, by id."""

    async def start(self, given: bytes) -> str:
        """Start the piece as any caller would; returns its saga. Raises Refused, TimeoutError."""
        started = await self._client.start(self._piece, given, within=ASK_WITHIN)
        found = await self._store.sagas(SagaFilter(ids=(started.saga,), limit=1))
        plan = await self._catalog.by_hash(found[0].definition)
        assert plan is not None, "an accepted saga has its definition in the store"
        self._told[started.saga] = {started.saga: Told(started.saga, Timeline(plan, branches=True))}
        return started.saga

    async def follow(self, saga: str, enough: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Show what is recorded, as it is recorded, until the saga has ended or it is `enough`. Raises TooSlow."""
        timeline = self._told[saga][saga].timeline
        give_up_at = CLOCK.monotonic() + ACT_SECONDS_MAX
        while not timeline.ended:
            is_news = await self._show_news(saga)
            await self._show_below(saga, timeline)
            if not is_news and enough is not None and await enough():
                await self._show_news(saga)  # what came while it was asked whether it is enough
                self.screen.below([])
                return
            if CLOCK.monotonic() > give_up_at:
                raise TooSlow(f"saga {saga} has not ended after {ACT_SECONDS_MAX:g} s. See {self.town.folder}")
            if not is_news:
                self.town.check()
                await CLOCK.sleep(LOOK_SECONDS)
        self.screen.below(timeline.lanes())
        self.screen.settle()

    async def follow_until_run(self, saga: str, runs: Path) -> None:
        """Follow until the command that stalls has run: see `Town.stall`. Raises TooSlow."""

        async def has_run() -> bool:
            return await asyncio.to_thread(runs.exists)

        await self.follow(saga, has_run)

    async def follow_until_asked(self, saga: str) -> ApprovalDetail:
        """Follow until somebody has to decide, here or in a sub-saga; returns what about. Raises TooSlow."""
        asked: list[ApprovalDetail] = []

        async def is_asked() -> bool:
            asked[:] = await Approvals(self._store).waiting(root=saga)
            return bool(asked)

        await self.follow(saga, is_asked)
        if not asked:
            raise TooSlow(f"saga {saga} has ended, and nobody was asked. See {self.town.folder}")
        return asked[0]

    async def follow_until_parked(self, saga: str) -> None:
        """Follow until a step stands in front of an operator. Raises TooSlow."""

        async def is_parked() -> bool:
            (row,) = await self._store.sagas(SagaFilter(ids=(saga,), limit=1))
            return row.status == "parked"

        await self.follow(saga, is_parked)

    async def retry(self, saga: str, step: str, operator: str, *, reason: str) -> None:
        """Have a parked step done again. Raises NotPossible."""
        self.screen.say(f"  {operator}: saga resolve {saga} {step} retry --reason '{reason}'", "dim")
        again = Resolve(now=CLOCK.now(), path=step, verdict=Verdict.RETRY, actor=operator, reason=reason)
        await operate(self._store, CLOCK, saga, again)

    async def decide(
        self, asked: ApprovalDetail, choice: Choice, approver: str, *, reason: str = "", edited: object = None
    ) -> None:
        """Decide as a person whom the gateway vouches for; `edited` is the subject as they changed it.

        Raises Refused, TimeoutError.
        """
        changed = ", with changes" if edited is not None else ""
        self.screen.say(f"  {approver} reads what is asked at {asked.place}, and will {choice}{changed}", "dim")
        what = {"digest": asked.digest, "approver": approver}
        if choice is Choice.APPROVE:
            await self._client.approve(
                asked.saga, asked.path, edited=edited, number=asked.number, reason=reason, within=ASK_WITHIN, **what
            )
        else:
            await self._client.reject(
                asked.saga, asked.path, number=asked.number, reason=reason, within=ASK_WITHIN, **what
            )

    def tell(self, checks: list[Check]) -> bool:
        """What the ledgers say; whether all of it is as it must be."""
        for check in checks:
            self.screen.say(f"  {'✓' if check.is_true else '✗'} {check.text}", "good" if check.is_true else "bad")
        return all(check.is_true for check in checks)

    def title(self, text: str) -> None:
        """The heading of an act."""
        self.screen.say()
        self.screen.say(f"{RULE * 2} {text} ".ljust(TITLE_WIDTH, RULE), "title")

    async def _show_news(self, root: str) -> bool:
        """Show what is new of a saga, then of those below it: what they recorded before it ended is there then."""
        family = self._told[root]
        found = await self._news(family[root])
        await self._meet(root)
        for told in list(family.values())[1:]:
            found += await self._news(told)
        for entry, line in sorted(found, key=lambda each: each[0].at):
            self.screen.entry(entry, line)
        return bool(found)

    async def _news(self, told: Told) -> list[tuple[Entry, str]]:
        found: list[tuple[Entry, str]] = []
        for row in await self._store.history(told.saga, told.version):
            told.version = row.version
            found += [(entry, told.timeline.line(entry)) for entry in told.timeline.add(row.data)]
        return found

    async def _meet(self, root: str) -> None:
        """Take note of sub-sagas that are new."""
        family = self._told[root]
        for row in await self._store.sagas(SagaFilter(root=root, limit=SAGAS_BELOW_MAX, oldest_first=True)):
            if row.saga in family:
                continue
            plan = await self._catalog.by_hash(row.definition)
            assert plan is not None, "a sub-saga has its definition in the store"
            first = events.decode((await self._store.history(row.saga, 0))[0].data)
            step = next(event.path for event in first if isinstance(event, events.ParentAsked))
            above = family[row.parent or root].timeline
            family[row.saga] = Told(row.saga, above.below(step, plan))

    async def _show_below(self, saga: str, timeline: Timeline) -> None:
        (row,) = await self._store.sagas(SagaFilter(ids=(saga,), limit=1))
        waits = [f"  waits     {row.wait_text}"] if row.wait_text else []
        self.screen.below(["", *timeline.lanes(), *waits])


Act = Callable[[Stage, str], Awaitable[tuple[str, bool]]]
"""Plays one saga under a business key; returns its id, and whether the ledgers say what was shown."""
