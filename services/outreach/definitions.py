"""The `agency-outreach` saga: research, a brief, a draft, somebody's approval, the message, the CRM."""

from datetime import timedelta

from contracts.contacts import UpsertContact
from contracts.documents import ArchiveDocument, CreateDocument
from contracts.drafting import DiscardDraft, DraftMessage
from contracts.notifications import SendMessage
from contracts.outreach import Lead, Reached
from contracts.research import ResearchCompany
from saga import On, Retry, Saga, define, text


@define("agency-outreach", version=1, deadline=timedelta(days=14))
def outreach(s: Saga, lead: Lead) -> Reached:
    """What is approved is the message itself: what an approver made of the draft is what is sent."""
    s.key(lead.lead_id)
    s.requester(lead.owner)
    s.tag(company=lead.company)

    found = s.read("research", ResearchCompany(company=lead.company))
    brief = s.step(
        "brief",
        CreateDocument(reference=lead.lead_id, title=text("Brief: {}", lead.company), body=found.facts),
        undo=lambda r: ArchiveDocument(document_id=r.document_id),
        unknown=ArchiveDocument(document_id=None),
    )
    drafted = s.step(
        "draft",
        DraftMessage(
            reference=lead.lead_id, segment=found.segment, name=lead.name, company=lead.company, facts=found.facts
        ),
        undo=DiscardDraft(reference=lead.lead_id),
        retry=Retry(attempts=3),  # then a person looks: a template may be missing
    )
    letter = s.approval(
        "review",
        SendMessage(to=lead.email, subject=drafted.subject, body=drafted.body, reference=lead.lead_id),
        roles=["editor"],
        exclude_requester=True,
        summary=text("Message to {} at {}", lead.name, lead.company),
        edit=lambda message: (message.subject, message.body),
        expires=timedelta(days=5),
        on_expiry=On.COMPENSATE,
    )
    sent = s.pivot("send", letter.subject, timeout=timedelta(minutes=5))  # as long as notifications tries, and more
    contact = s.retryable(
        "crm",
        UpsertContact(
            reference=lead.lead_id, email=lead.email, name=lead.name, company=lead.company,
            document_id=brief.document_id, mail_id=sent.mail_id,
        ),
    )  # fmt: skip
    return Reached(
        contact_id=contact.contact_id, document_id=brief.document_id, mail_id=sent.mail_id, approved_by=letter.approver
    )
