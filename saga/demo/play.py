"""Plays a piece: all its acts, one after the other, in a town that is open."""

from collections.abc import Mapping

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.demo import customers, hires, order, outreach
from saga.demo.screen import Screen
from saga.demo.stage import Act, Stage
from saga.demo.town import Town
from saga.stores import IDS, open_store

ACTS: Mapping[str, tuple[Act, ...]] = {
    "order": order.ACTS,
    "customer-onboarding": customers.ACTS,
    "hr-onboarding": hires.ACTS,
    "agency-outreach": outreach.ACTS,
}
"""By the name of the piece: see `saga.demo.reference.PIECES`."""


class Shown(msgspec.Struct, frozen=True):
    """What the demo showed."""

    sagas: tuple[str, ...]
    is_true: bool
    """Whether every ledger says what the timeline said."""


async def play(town: Town, piece: str, screen: Screen, run: str) -> Shown:
    """All acts. `run` keeps its business keys apart from those of other runs."""
    store = await open_store(town.store)
    bus = await open_bus(town.gateway, name="saga demo")
    client = Client(bus, IDS, name=f"demo-{run}")
    stage = Stage(town, store, client, screen, piece)
    try:
        shown = [await act(stage, f"{piece}-{run}-{number}") for number, act in enumerate(ACTS[piece], 1)]
    finally:
        screen.below([])
        await client.close()
        await bus.close()
        await store.close()
    return Shown(tuple(saga for saga, _ in shown), all(is_true for _, is_true in shown))
