"""What contacts asks of the CRM, over real HTTP, and what the CRM does with a repeat."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.contacts import ContactUpserted, UpsertContact
from saga.contract import Context, RetryLater
from saga.testing import assert_idempotent
from services.contacts.handlers import Registry
from services.contacts.provider import Provider
from services.world import office
from services.world.books import Books
from services.world.crm import Crm, CrmSettings, listening, routes

HOST = "127.0.0.1"
ANN = UpsertContact(
    reference="l1", email="ann+bakery@example.org", name="Ann", company="Bakery", document_id="doc-1", mail_id="m1"
)


def under(key: str) -> Context:
    return Context(key=key, saga="saga-1", step="crm", attempt=1)


def registry_at(url: str) -> Registry:
    parts = urlsplit(url)
    return Registry(Provider(str(parts.hostname), int(parts.port or 0), timeout_seconds=5))


@pytest.fixture
async def crm(tmp_path: Path) -> AsyncIterator[tuple[Registry, Books]]:
    """The handlers over a CRM in this process, and the CRM's books."""
    async with listening(HOST, tmp_path / "crm.jsonl") as url:
        yield registry_at(url), Books(tmp_path / "crm.jsonl")


async def test_a_contact_is_written_once_for_each_key(crm: tuple[Registry, Books]) -> None:
    """A repeat is answered as before; another key changes the contact that is there."""
    registry, books = crm
    first = await registry.upsert(ANN, under("k1"))
    assert first.created
    assert await registry.upsert(ANN, under("k1")) == first
    assert await registry.upsert(ANN, under("k2")) == ContactUpserted(contact_id=first.contact_id, created=False)
    assert [(line["kind"], line["idempotency_key"]) for line in books.lines()] == [
        ("upsert", "k1"),
        ("replay", "k1"),
        ("upsert", "k2"),
    ]
    assert {line["email"] for line in books.lines("upsert")} == {ANN.email}


async def test_an_upsert_survives_every_delivery(crm: tuple[Registry, Books]) -> None:
    """Wherever contacts dies, the contact is written once: the provider knows our key."""
    registry, books = crm
    handler = UpsertContact.handled_by(registry.upsert)
    proven = await assert_idempotent(handler, ANN, effects=lambda: len(books.lines("upsert")))
    assert proven.crashes > 0


async def test_a_dropped_answer_is_asked_for_again(tmp_path: Path) -> None:
    """The contact was written and nobody heard: that is no answer, and no second contact either."""
    books = Books(tmp_path / "crm.jsonl")
    crm = Crm(books, CrmSettings(drop_after_rate=1.0))
    async with office.listening(routes(crm), HOST) as url:
        for _ in range(2):
            with pytest.raises(RetryLater) as silence:
                await registry_at(url).upsert(ANN, under("k1"))
            assert silence.value.code == "crm-silent"
    assert [line["kind"] for line in books.lines()] == ["upsert", "replay"]


async def test_a_crm_that_is_down_is_asked_again(tmp_path: Path) -> None:
    """Its 503 claims nothing, and nothing is written."""
    books = Books(tmp_path / "crm.jsonl")
    crm = Crm(books, CrmSettings(unavailable_rate=1.0))
    async with office.listening(routes(crm), HOST) as url:
        with pytest.raises(RetryLater) as busy:
            await registry_at(url).upsert(ANN, under("k1"))
    assert busy.value.code == "crm-503"
    assert books.lines() == []
