"""Processes in which people decide, on real servers, while services and orchestrators are killed with -9."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.piece import HIRES, LEADS, Plan, run, town_of


@pytest.mark.timeout(400)
@pytest.mark.parametrize("plan", [HIRES, LEADS], ids=lambda plan: plan.story.name)
def test_what_people_decide_is_what_happens(tmp_path: Path, plan: Plan) -> None:
    """Once, in an order that is allowed, and undone as a unit; whoever may not decide is told so."""
    town = town_of(tmp_path, plan)
    try:
        town.open()
        problems, counts = asyncio.run(run(plan, town))
    finally:
        town.close()
    assert problems == []
    assert counts["completed"] + counts["compensated"] + counts.get("parked", 0) == plan.sagas
