"""What documents does with its store."""

import pytest

from contracts.documents import ArchiveDocument, CreateDocument, DocumentArchived, DocumentCreated
from saga.contract import InDoubt, Undone
from saga.testing import assert_idempotent
from services import documents
from services.documents.handlers import archive, create
from tests.unit.services.tables import Tables

BRIEF = CreateDocument(reference="l1", title="Brief: Bakery", body="It opens early.")
KEPT = "select count(*) from documents where state = 'kept'"


def put_away(_cmd: CreateDocument, made: DocumentCreated | None) -> ArchiveDocument:
    """As the definition undoes it: by its id, or by what documents remembers."""
    return ArchiveDocument(document_id=made.document_id if made else None)


@pytest.fixture
def store(tables: Tables) -> Tables:
    """The tables of documents."""
    return tables.migrate("documents")


async def test_two_commands_are_two_documents(store: Tables) -> None:
    """No handler hides a repeat: the ledger would show it."""
    made = [await create(BRIEF, store.context(key=key)) for key in ("k1", "k2")]
    assert len({each.document_id for each in made}) == 2
    assert store.rows(KEPT) == [(2,)]
    ledger = store.rows("select kind, idempotency_key, subject, detail from documents_effects order by sequence")
    assert ledger == [("do", "k1", "l1", made[0].document_id), ("do", "k2", "l1", made[1].document_id)]


async def test_the_document_that_is_named_is_put_away(store: Tables) -> None:
    """Or the one that the inbox remembers; the others stay."""
    first, second = [await create(BRIEF, store.context(key=key)) for key in ("k1", "k2")]
    named = await archive(ArchiveDocument(document_id=first.document_id), store.context())
    assert named == DocumentArchived(document_id=first.document_id)
    remembered = Undone(reply=f'{{"document_id":"{second.document_id}"}}'.encode())
    assert store.rows(KEPT) == [(1,)]
    await archive(ArchiveDocument(document_id=None), store.context(undone=remembered))
    assert store.rows(KEPT) == [(0,)]


async def test_a_document_nobody_knows_is_in_doubt(store: Tables) -> None:
    """Whoever undoes it has to look: nothing is claimed."""
    with pytest.raises(InDoubt, match="no document doc-9"):
        await archive(ArchiveDocument(document_id="doc-9"), store.context())


async def test_a_document_survives_every_delivery() -> None:
    """It is made once and put away once, wherever documents dies."""
    proven = await assert_idempotent(documents.participant(), BRIEF, effects=KEPT, undo=put_away)
    assert proven.crashes > 10
