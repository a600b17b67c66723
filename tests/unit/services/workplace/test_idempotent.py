"""Every command of workplace survives every way in which it may be delivered."""

from contracts.workplace import AssignDesk, IssueBadge, ReleaseDesk
from saga.testing import assert_idempotent
from services import workplace

TAKEN = "select count(*) from desks where state = 'taken'"
PRINTED = "select count(*) from badges"


async def test_assigning_a_desk() -> None:
    """An employee sits at one desk, and at none after the undo."""
    assign = AssignDesk(employee_id="e1", site="delft")
    proven = await assert_idempotent(workplace.participant(), assign, effects=TAKEN, undo=ReleaseDesk(employee_id="e1"))
    assert proven.crashes > 10


async def test_a_full_site() -> None:
    """It is full again, and there is no desk to release."""
    assign = AssignDesk(employee_id="e1", site="attic")
    await assert_idempotent(workplace.participant(), assign, effects=TAKEN, undo=ReleaseDesk(employee_id="e1"))


async def test_printing_a_badge() -> None:
    """One badge, wherever workplace dies."""
    await assert_idempotent(workplace.participant(), IssueBadge(employee_id="e1", photo="e1.jpg"), effects=PRINTED)


async def test_a_badge_without_a_photo() -> None:
    """It is never printed."""
    await assert_idempotent(workplace.participant(), IssueBadge(employee_id="e1", photo=""), effects=PRINTED)
