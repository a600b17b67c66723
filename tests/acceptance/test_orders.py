"""Orders through real servers and real processes; the long run is `python -m tests.acceptance.orders`."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.acceptance.audit import Report
from tests.acceptance.orders import Plan, judged, run
from tests.acceptance.town import Town, Troubles

QUIET = Plan(
    orders=30, seconds=5, kill=False, broker_restart_at=None, broker_wipe_at=None, duplicate_rate=0.3, steal=False
)


@pytest.mark.timeout(300)
def test_orders_come_to_their_end(tmp_path: Path) -> None:
    """With late refusals, transient errors, dropped connections and duplicates, but no kills, nothing is in doubt."""
    town = Town(tmp_path, Troubles())
    try:
        town.open()
        report = asyncio.run(run(msgspec.structs.replace(QUIET, minimum={"undone orders": 2, "do book": 10}), town))
    finally:
        town.close()
    assert report.problems == ()
    assert report.counts["accepted"] == 30
    assert report.counts["completed"] + report.counts["compensated"] == 30
    assert report.counts["ended by themselves"] == 0


def test_a_run_in_which_too_little_went_wrong_is_no_proof(tmp_path: Path) -> None:
    """What was counted on the wire and what was audited are held against the minimum."""
    stats = tmp_path / "stats.json"
    stats.write_bytes(msgspec.json.encode({"replays": 7}))
    report = judged(Report(problems=(), counts={"kills": 60}), stats, {"kills": 60, "replays": 8, "tombstones": 1})
    assert [problem.detail for problem in report.problems] == [
        "replays: 7, wanted at least 8",
        "tombstones: 0, wanted at least 1",
    ]
    assert not report.clean
