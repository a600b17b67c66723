"""Customers through real servers and real processes; the long run is `python -m tests.acceptance.customers`."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.customers import Plan, run
from tests.acceptance.customers_audit import PIECE
from tests.acceptance.town import Town, Troubles


@pytest.mark.timeout(300)
def test_branches_survive_kills(tmp_path: Path) -> None:
    """Sixty customers, something killed every second, messages lost and doubled, a cloud that refuses late: nothing
    happens twice, nothing is left behind, and what is undone is undone in an order that is allowed.
    """
    town = Town(tmp_path, Troubles(), piece=PIECE)
    try:
        town.open()
        report = asyncio.run(run(Plan(), town))
    finally:
        town.close()
    assert report.problems == ()
    assert report.counts["accepted"] == 75
