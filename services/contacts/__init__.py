"""Contacts: writes them down with a CRM over HTTP. `saga serve services.contacts:participant`.

`SAGA_CRM_URL` says where the CRM is. Contacts has no tables of its own: what was written is on the CRM's books.
"""

from contracts.contacts import UpsertContact
from saga.participant import Participant
from services import environment, faults
from services.contacts.handlers import Registry
from services.contacts.provider import Provider


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a missing or bad setting."""
    host, port = environment.address("SAGA_CRM_URL", scheme="http", example="http://127.0.0.1:8083")
    upsert = faults.from_environment().around(Registry(Provider(host, port)).upsert)
    return Participant("contacts", handlers=[UpsertContact.handled_by(upsert)])
