"""What drafting does with its tables."""

from decimal import Decimal

import pytest

from contracts.drafting import DiscardDraft, DraftDiscarded, DraftMessage
from saga.contract import RetryLater
from saga.testing import assert_idempotent
from services import drafting
from services.drafting.handlers import discard, draft
from tests.unit.services.tables import Tables

ASKED = DraftMessage(reference="l1", segment="food", name="Ann", company="Bakery {facts}", facts="It opens early.")
OPEN = "select count(*) from drafts where state = 'open'"


@pytest.fixture
def desk(tables: Tables) -> Tables:
    """Drafting's tables, with its templates."""
    return tables.migrate("drafting")


async def test_a_draft_is_written_from_its_template(desk: Tables) -> None:
    """It is kept, and in the ledger under its key."""
    context = desk.context(key="k1", step="draft")
    made = await draft(ASKED, context)
    assert context.cost == {"tokens": Decimal(15), "USD": Decimal("0.0003")}
    assert made.body == "Dear Ann, It opens early. Shall we talk over breakfast?"
    assert made.subject == "Fresh ideas for Bakery {facts}"
    assert desk.rows("select reference, subject, state from drafts") == [("l1", made.subject, "open")]
    assert desk.rows("select kind, idempotency_key, detail from drafting_effects") == [("do", "k1", made.draft_id)]


async def test_a_segment_without_a_template_waits_for_one(desk: Tables) -> None:
    """Nothing is written; once a person has added it, the same command goes through."""
    space = DraftMessage(reference="l1", segment="space", name="Ann", company="Orbital", facts="It looks down.")
    with pytest.raises(RetryLater) as missing:
        await draft(space, context := desk.context())
    assert context.cost is None  # nothing was written, so nothing is paid
    assert missing.value.code == "no-template"
    assert desk.rows("select * from drafting_effects") == []
    desk.rows("insert into templates (segment, subject, body) values ('space', 'Up: {company}', 'Hello {name}')")
    assert (await draft(space, desk.context())).subject == "Up: Orbital"


async def test_only_the_drafts_of_a_reference_are_discarded(desk: Tables) -> None:
    """Those of others stay open."""
    await draft(ASKED, desk.context(key="k1"))
    await draft(DraftMessage("l2", "food", "Bob", "Cakes", "It is sweet."), desk.context(key="k2"))
    assert await discard(DiscardDraft(reference="l1"), desk.context(key="k3")) == DraftDiscarded(draft_count=1)
    assert desk.rows("select reference from drafts where state = 'open'") == [("l2",)]


async def test_a_draft_survives_every_delivery() -> None:
    """It is written once and thrown away once, wherever drafting dies."""
    proven = await assert_idempotent(drafting.participant(), ASKED, effects=OPEN, undo=DiscardDraft(reference="l1"))
    assert proven.crashes > 10
