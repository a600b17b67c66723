"""A CRM that honours idempotency keys."""

from pathlib import Path

import pytest

from services.world.books import Books
from services.world.crm import Contact, Crm, CrmSettings, main

ANN = Contact(reference="l1", name="Ann", company="Bakery", document_id="doc-1", mail_id="m1")


def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    """A new process goes on with the books: the same answer, and nothing is written again."""
    first = Crm(Books(tmp_path / "crm.jsonl"), CrmSettings()).put("ann@example.org", ANN, "k1")
    books = Books(tmp_path / "crm.jsonl")
    crm = Crm(books, CrmSettings())
    assert crm.put("ann@example.org", ANN, "k1") == first
    assert crm.put("ann@example.org", ANN, "k2").body["created"] is False
    assert [line["kind"] for line in books.lines()] == ["upsert", "replay", "upsert"]


def test_a_key_is_for_one_contact(tmp_path: Path) -> None:
    """Another contact under it is refused, and so is none at all."""
    books = Books(tmp_path / "crm.jsonl")
    crm = Crm(books, CrmSettings())
    crm.put("ann@example.org", ANN, "k1")
    assert crm.put("bob@example.org", ANN, "k1").status == 422
    assert crm.put("ann@example.org", ANN, "").status == 400
    assert len(books.lines()) == 1


def test_a_rate_is_a_share(tmp_path: Path) -> None:
    """The command line says which one is not."""
    with pytest.raises(SystemExit, match=r"crm: drop_after_rate=2.0 is no share"):
        main(["--books", str(tmp_path / "crm.jsonl"), "--drop-after-rate", "2"])
