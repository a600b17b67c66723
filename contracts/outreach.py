"""What starts an outreach, and what comes of it."""

import msgspec


class Lead(msgspec.Struct, frozen=True):
    """Input of the `agency-outreach` saga; `lead_id` is its business key."""

    lead_id: str
    company: str
    name: str
    email: str
    owner: str
    """Who wants the message sent; the one person who may not approve it."""


class Reached(msgspec.Struct, frozen=True):
    """Output of the `agency-outreach` saga."""

    contact_id: str
    document_id: str
    mail_id: str
    approved_by: str
