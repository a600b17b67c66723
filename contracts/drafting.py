"""What drafting answers: the draft of a message, and throwing it away."""

import msgspec

from saga.contract import Command, Effect, command


class MessageDrafted(msgspec.Struct, frozen=True):
    """A first version, for people to look at."""

    draft_id: str
    subject: str
    body: str


@command(service="drafting", effect=Effect.INBOX)
class DraftMessage(Command[MessageDrafted], frozen=True):
    """Write a message from the template of a segment. One without a template has to wait for it."""

    reference: str
    segment: str
    name: str
    """Of whoever is written to."""
    company: str
    facts: str


class DraftDiscarded(msgspec.Struct, frozen=True):
    """Nobody will send it."""

    draft_count: int


@command(service="drafting", effect=Effect.INBOX)
class DiscardDraft(Command[DraftDiscarded], frozen=True):
    """Throw away what was drafted under a reference."""

    reference: str
