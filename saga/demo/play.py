"""The three acts: an order that completes, one that is undone, and one whose process is killed in the worst place."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from saga.bootstrap import CLOCK, IDS, open_bus, open_store
from saga.client import Client
from saga.core.errors import SagaError
from saga.demo import ledgers
from saga.demo.ledgers import Check
from saga.demo.reference import example_order
from saga.demo.screen import RULE, Screen
from saga.demo.timeline import Timeline
from saga.demo.town import Town
from saga.engine.catalog import Catalog
from saga.ports import SagaFilter, Store

LOOK_SECONDS = 0.03
ACT_SECONDS_MAX = 90.0
START_WITHIN = timedelta(seconds=30)
TOTAL = Decimal("42.00")
TITLE_WIDTH = 78


class TooSlow(SagaError):
    """An act did not come to its end."""

    code = "SAGA-6003"


class Shown(msgspec.Struct, frozen=True):
    """What the demo showed."""

    sagas: tuple[str, ...]
    is_true: bool
    """Whether every ledger says what the timeline said."""


class Stage:
    """The town as the demo sees it: starts orders, follows their histories, and looks into the ledgers."""

    def __init__(self, town: Town, store: Store, client: Client, screen: Screen) -> None:
        self.town = town
        self.screen = screen
        self._store = store
        self._client = client
        self._catalog = Catalog(store, CLOCK)
        self._read: dict[str, tuple[Timeline, int]] = {}

    async def start(self, order: bytes) -> str:
        """Start an order as any caller would; returns its saga. Raises Refused, TimeoutError."""
        started = await self._client.start("order", order, within=START_WITHIN)
        found = await self._store.sagas(SagaFilter(ids=(started.saga,), limit=1))
        plan = await self._catalog.by_hash(found[0].definition)
        assert plan is not None, "an accepted saga has its definition in the store"
        self._read[started.saga] = (Timeline(plan), 0)
        return started.saga

    async def follow(self, saga: str, enough: Callable[[], bool] = lambda: False) -> None:
        """Show what is recorded, as it is recorded, until the saga has ended or it is `enough`. Raises TooSlow."""
        timeline, version = self._read[saga]
        give_up_at = CLOCK.monotonic() + ACT_SECONDS_MAX
        while not timeline.ended:
            rows = await self._store.history(saga, version)
            for row in rows:
                version = row.version
                for entry in timeline.add(row.data):
                    self.screen.entry(entry, timeline.line(entry))
            self._read[saga] = (timeline, version)
            await self._show_below(saga, timeline)
            if not rows and enough():
                return
            if CLOCK.monotonic() > give_up_at:
                raise TooSlow(f"saga {saga} has not ended after {ACT_SECONDS_MAX:g} s. See {self.town.folder}")
            if not rows:
                self.town.check()
                await CLOCK.sleep(LOOK_SECONDS)
        self.screen.below(timeline.lanes())
        self.screen.settle()

    async def _show_below(self, saga: str, timeline: Timeline) -> None:
        (row,) = await self._store.sagas(SagaFilter(ids=(saga,), limit=1))
        waits = [f"  waits     {row.wait_text}"] if row.wait_text else []
        self.screen.below(["", *timeline.lanes(), *waits])

    def tell(self, checks: list[Check]) -> bool:
        """What the ledgers say; whether all of it is as it must be."""
        for check in checks:
            self.screen.say(f"  {'✓' if check.is_true else '✗'} {check.text}", "good" if check.is_true else "bad")
        return all(check.is_true for check in checks)

    def title(self, text: str) -> None:
        """The heading of an act."""
        self.screen.say()
        self.screen.say(f"{RULE * 2} {text} ".ljust(TITLE_WIDTH, RULE), "title")


async def completes(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act one."""
    stage.title("1  an order that goes through")
    saga = await stage.start(_order(order_id))
    await stage.follow(saga)
    return saga, stage.tell(ledgers.delivered(await ledgers.facts(stage.town, order_id), TOTAL))


async def is_undone(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act two."""
    stage.title("2  the carrier refuses late: what was done is undone, newest first")
    saga = await stage.start(_order(order_id, country="AQ"))
    await stage.follow(saga)
    return saga, stage.tell(ledgers.undone(await ledgers.facts(stage.town, order_id)))


async def survives(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act three."""
    stage.title("3  kill -9 between the charge and its commit")
    town, screen = stage.town, stage.screen
    screen.say("  payments is told to stall between the two, so that the moment can be hit", "dim")
    runs = await town.stall()
    saga = await stage.start(_order(order_id))
    await stage.follow(saga, enough=runs.exists)
    screen.below([])
    await town.kill()
    screen.say(f"  kill -9 {town.victim_pid}: {town.victim}; the charge had run and was not committed", "bad")
    before = await ledgers.facts(town, order_id)
    lost = stage.tell([Check(f"payments: {before.charges} charges, {before.paid} paid", before.charges == 0)])
    await town.start_again()
    screen.say(f"  started again as process {town.victim_pid}", "good")
    await stage.follow(saga)
    found = await ledgers.facts(town, order_id)
    run_count = _lines(runs)
    once = Check(
        f"the charge ran {run_count} times; the payments ledger has {found.charges} charge of {found.paid}",
        run_count > 1 and (found.charges, found.paid) == (1, TOTAL),
    )
    return saga, stage.tell([once, *ledgers.delivered(found, TOTAL)]) and lost


async def play(town: Town, screen: Screen, run: str) -> Shown:
    """All acts, in a town that is open. `run` keeps its orders apart from those of other runs."""
    store = await open_store(town.store)
    bus = await open_bus(town.bus, name="saga demo")
    client = Client(bus, IDS, name=f"demo-{run}")
    stage = Stage(town, store, client, screen)
    acts: list[Callable[[Stage, str], Awaitable[tuple[str, bool]]]] = [completes, is_undone, survives]
    try:
        shown = [await act(stage, f"order-{run}-{number}") for number, act in enumerate(acts, 1)]
    finally:
        screen.below([])
        await client.close()
        await bus.close()
        await store.close()
    return Shown(tuple(saga for saga, _ in shown), all(is_true for _, is_true in shown))


def _order(order_id: str, country: str = "NL") -> bytes:
    # The customer is named after the order, so that its card's account in the ledger is about this order alone.
    return example_order(order_id, country=country, customer=order_id)


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())
