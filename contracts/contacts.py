"""What contacts answers: writing one down, new or not."""

import msgspec

from saga.contract import Command, Effect, command


class ContactUpserted(msgspec.Struct, frozen=True):
    """The contact is as it was asked for."""

    contact_id: str
    created: bool
    """Whether it is a new one."""


@command(service="contacts", effect=Effect.PROVIDER_KEY)
class UpsertContact(Command[ContactUpserted], frozen=True):
    """Write a contact down; the CRM does it once for each idempotency key."""

    reference: str
    email: str
    name: str
    company: str
    document_id: str
    """The brief."""
    mail_id: str
    """What was sent."""
