"""What mailboxes does."""

import pytest

from contracts.mailboxes import AddressInUse, CloseMailbox, MailboxClosed, MailboxOpened, OpenMailbox
from saga.testing import assert_idempotent
from services import mailboxes
from services.mailboxes.handlers import close, open_box
from tests.unit.services.tables import Tables

OPEN = OpenMailbox(customer_id="c1", name="ann")
STANDING = "select count(*) from mailboxes where state = 'open'"


@pytest.fixture
def boxes(tables: Tables) -> Tables:
    """Its own tables."""
    return tables.migrate("mailboxes")


async def test_a_mailbox_is_opened_and_closed(boxes: Tables) -> None:
    """Both are effects in the ledger."""
    assert await open_box(OPEN, boxes.context(key="k1")) == MailboxOpened(address="ann@box.example")
    assert await close(CloseMailbox(customer_id="c1"), boxes.context(key="k2")) == MailboxClosed(mailbox_count=1)
    assert await close(CloseMailbox(customer_id="c9"), boxes.context(key="k3")) == MailboxClosed(mailbox_count=0)
    assert boxes.rows("select kind, idempotency_key, subject, detail from mailboxes_effects") == [
        ("do", "k1", "c1", "ann@box.example"),
        ("undo", "k2", "c1", "ann@box.example"),
        ("undo", "k3", "c9", ""),
    ]


async def test_a_reserved_address_is_refused(boxes: Tables) -> None:
    """And leaves nothing behind."""
    refused = await open_box(OpenMailbox(customer_id="c1", name="postmaster"), boxes.context())
    assert refused == AddressInUse(address="postmaster@box.example")
    assert boxes.rows("select * from mailboxes_effects") == boxes.rows("select * from mailboxes") == []


async def test_opening_survives_every_delivery() -> None:
    """There is one mailbox, and none after the undo."""
    undo = CloseMailbox(customer_id="c1")
    proven = await assert_idempotent(mailboxes.participant(), OPEN, effects=STANDING, undo=undo)
    assert proven.crashes > 10
