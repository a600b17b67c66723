"""What contacts does: gives the CRM our idempotency key, and nothing that changes with a repeat."""

from contracts.contacts import ContactUpserted, UpsertContact
from saga.contract import Context, RetryLater
from services.contacts.provider import Provider, ProviderSilent

DONE = 200


class Registry:
    """The handler, tied to one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def upsert(self, cmd: UpsertContact, ctx: Context) -> ContactUpserted:
        """Write the contact down. When no answer comes nothing is claimed: the next run asks under the same key."""
        contact = {
            "reference": cmd.reference,
            "name": cmd.name,
            "company": cmd.company,
            "document_id": cmd.document_id,
            "mail_id": cmd.mail_id,
        }
        try:
            answer = await self._provider.put_contact(cmd.email, contact, key=ctx.key)
        except ProviderSilent as silence:
            raise RetryLater(str(silence), code="crm-silent") from silence
        if answer.status != DONE:
            raise RetryLater(f"the CRM answered {answer.status}: {answer.body}", code=f"crm-{answer.status}")
        return ContactUpserted(contact_id=answer.body["contact_id"], created=answer.body["created"])
