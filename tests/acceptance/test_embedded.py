"""The same definition and services on SQLite and the in-memory broker, in one process that is killed in the middle."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.acceptance.audit import Evidence, audit
from tests.acceptance.load import Mix, Order, order_of
from tests.acceptance.shop import Shop, outcomes

MIX = Mix(sold_out=0.05, declined=0.15, prepaid=0.05, over_limit=0.05, not_served=0.25, twice=0.0)
ORDERS = [order_of("embedded", number, MIX) for number in range(48)]
SECONDS = 4.0
KILLS = 6
SETTLE_SECONDS_MAX = 120.0
"""An interrupted booking waits for the lease of the process that died, 15 s, and then for its back-off."""


async def run(shop: Shop, orders: list[Order], *, kills: int) -> Evidence:
    """Orders in, kills meanwhile, then peace until nothing moves."""
    await shop.open()
    try:
        await asyncio.gather(shop.order(orders, SECONDS), shop.kill_on(kills, random.Random(7)))
        await shop.settled(SETTLE_SECONDS_MAX)
        return await shop.evidence()
    finally:
        await asyncio.to_thread(shop.close)


@pytest.mark.timeout(300)
async def test_a_killed_process_ends_every_order_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Every order ends, judged from the ledgers, and ends as it would have without a kill."""
    quiet, killed = Shop(tmp_path / "quiet"), Shop(tmp_path / "killed")
    undisturbed = await run(quiet, ORDERS, kills=0)
    disturbed = await run(killed, ORDERS, kills=KILLS)

    assert audit(undisturbed).problems == ()
    report = audit(disturbed)
    assert report.problems == ()
    assert report.counts["accepted"] == len(ORDERS)

    wanted, found = outcomes(undisturbed), outcomes(disturbed)
    assert wanted.keys() == found.keys() == {order.order_id for order in ORDERS}
    # A mail whose sending was cut cannot be asked about: that one order stands in front of a person, as audited.
    doubtful = {order for order, outcome in found.items() if outcome.status == "parked"}
    assert {order: found[order] for order in found.keys() - doubtful} == {
        order: wanted[order] for order in wanted.keys() - doubtful
    }
    for order in doubtful:
        assert wanted[order].status == "completed"
        assert found[order].standing | {"confirm"} == wanted[order].standing

    # What makes the run worth something.
    print(report.counts, "sent again:", killed.resent_count, "in doubt:", len(doubtful))
    assert killed.kill_count == KILLS
    assert killed.resent_count >= 5
    assert report.counts["undone orders"] >= 5
    assert report.counts["do invoice"] >= 3


async def test_a_second_process_is_kept_out_of_the_folder(tmp_path: Path) -> None:
    """Two processes over one folder would answer each other's commands: the second one is told who is there."""
    shop, second = Shop(tmp_path), Shop(tmp_path / "second")
    await shop.open()
    try:
        second.state.parent.mkdir()
        second.state.symlink_to(shop.state)
        with pytest.raises(AssertionError, match=r"process \d+ lives in"):
            await second.open()
    finally:
        await asyncio.to_thread(second.close)
        await asyncio.to_thread(shop.close)
