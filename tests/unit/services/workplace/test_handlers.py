"""What workplace does with its tables."""

import pytest

from contracts.workplace import (
    AssignDesk,
    BadgeIssued,
    DeskAssigned,
    DeskReleased,
    IssueBadge,
    NoDeskLeft,
    NoPhoto,
    ReleaseDesk,
)
from services.workplace.handlers import assign, badge, release
from tests.unit.services.tables import Tables

FREE = "select free from sites where name = 'delft'"


@pytest.fixture
def building(tables: Tables) -> Tables:
    """Workplace's tables, with its sites."""
    return tables.migrate("workplace")


async def test_a_desk_is_assigned_and_given_up(building: Tables) -> None:
    """The site has one less and then as many as before; the ledger has both."""
    desk = await assign(AssignDesk(employee_id="e1", site="delft"), building.context(key="k1", step="desk"))
    assert isinstance(desk, DeskAssigned)
    assert building.rows(FREE) == [(999_999,)]
    released = await release(ReleaseDesk(employee_id="e1"), building.context(key="k2", step="desk"))
    assert released == DeskReleased(desk_count=1)
    assert building.rows(FREE) == [(1_000_000,)]
    effects = building.rows("select step, kind, idempotency_key, subject, detail from workplace_effects")
    assert effects == [("desk", "do", "k1", "e1", desk.desk_id), ("desk", "undo", "k2", "e1", desk.desk_id)]


@pytest.mark.parametrize("site", ["attic", "moon"])
async def test_a_full_site_is_refused(building: Tables, site: str) -> None:
    """So is one that does not exist; nothing is written."""
    assert await assign(AssignDesk(employee_id="e1", site=site), building.context()) == NoDeskLeft(site=site)
    assert building.rows("select * from desks") == []
    assert building.rows("select * from workplace_effects") == []


async def test_a_badge_is_printed_with_a_photo_only(building: Tables) -> None:
    """Without one it is refused, and nothing is written."""
    refused = await badge(IssueBadge(employee_id="e1", photo=""), building.context())
    assert refused == NoPhoto(employee_id="e1")
    assert building.rows("select * from workplace_effects") == []
    printed = await badge(IssueBadge(employee_id="e1", photo="e1.jpg"), building.context(step="badge"))
    assert isinstance(printed, BadgeIssued)
    assert building.rows("select badge_id, employee_id from badges") == [(printed.badge_id, "e1")]
    assert building.rows("select kind, subject, detail from workplace_effects") == [("do", "e1", printed.badge_id)]
