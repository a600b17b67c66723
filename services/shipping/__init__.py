"""Shipping: books parcels with a carrier over HTTP. `saga serve services.shipping:participant`.

`SAGA_CARRIER_URL` says where the carrier is. Shipping has no tables of its own: what happened is on the carrier's
books, and the inbox knows what was asked.
"""

from contracts.shipping import BookCourier, QuoteCourier
from saga.participant import Participant
from services import environment, faults
from services.shipping.carrier import Carrier
from services.shipping.handlers import Desk


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a missing or bad setting."""
    host, port = environment.address("SAGA_CARRIER_URL", scheme="http", example="http://127.0.0.1:8081")
    desk = Desk(Carrier(host, port))
    around = faults.from_environment().around
    handlers = [
        QuoteCourier.handled_by(around(desk.quote)),
        BookCourier.handled_by(around(desk.book), probe=desk.find),
    ]
    return Participant("shipping", handlers=handlers)
