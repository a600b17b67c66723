"""What documents answers: keeping a text, and putting it away."""

import msgspec

from saga.contract import Command, Effect, command


class DocumentCreated(msgspec.Struct, frozen=True):
    """It is kept under this id."""

    document_id: str


@command(service="documents", effect=Effect.INBOX)
class CreateDocument(Command[DocumentCreated], frozen=True):
    """Keep a new text. Two of these are two documents."""

    reference: str
    """What it is about."""
    title: str
    body: str


class DocumentArchived(msgspec.Struct, frozen=True):
    """Nobody is shown it any more."""

    document_id: str


@command(service="documents", effect=Effect.INBOX)
class ArchiveDocument(Command[DocumentArchived], frozen=True):
    """Put a document away; without an id it is the one that documents remembers making."""

    document_id: str | None
