"""The carrier's business, without HTTP: bookings under a reference, in append-only books."""

import threading
import time
from collections import Counter, defaultdict
from typing import Any
from uuid import uuid4

import msgspec

from services.world.behaviour import Behaviour, Settings, behaviour, slowness_seconds
from services.world.books import Books
from services.world.office import Answer, Dropped

CARRIER = "swift"
PRICE_CENTS = 490


class Booking(msgspec.Struct, frozen=True):
    """A booking request."""

    reference: str
    order_id: str
    country: str
    carrier: str = CARRIER
    gift: bool = False


class Carrier:
    """What the carrier does. Books of an earlier process are gone on with, and so are settings changed in it."""

    def __init__(self, books: Books, settings: Settings) -> None:
        self._books = books
        self._lock = threading.Lock()
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._requests = Counter(line["order_id"] for line in books.lines("request"))
        self._bookings: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in books.lines("book"):
            self._bookings[line["reference"]].append(line)
        kept = books.lines("settings")
        self.settings = msgspec.convert(kept[-1]["settings"], Settings) if kept else settings

    def book(self, booking: Booking) -> Answer:
        """Book, or not, as the settings say. Raises Dropped when the caller is to hear nothing."""
        # One reference at a time, and `find` waits in the same line: whoever asks after giving up on a slow booking
        # hears of it, instead of booking a second one beside it.
        with self._reference(booking.reference):
            with self._lock:
                count = self._requests[booking.order_id]
                self._requests[booking.order_id] += 1
            todo = behaviour(self.settings, order_id=booking.order_id, country=booking.country, request_count=count)
            self._books.write("request", reference=booking.reference, order_id=booking.order_id, behaviour=todo)
            pause_seconds = slowness_seconds(self.settings, order_id=booking.order_id, request_count=count) / 2
            time.sleep(pause_seconds)
            try:
                return self._carry_out(todo, booking)
            finally:
                time.sleep(pause_seconds)

    def _carry_out(self, todo: Behaviour, booking: Booking) -> Answer:
        match todo:
            case Behaviour.REFUSE:
                return Answer(409, {"reason": f"no parcels to {booking.country} today"})
            case Behaviour.UNAVAILABLE:
                return Answer(503, {"reason": "the carrier's office is closed"})
            case Behaviour.DROP_BEFORE:
                raise Dropped
            case Behaviour.BOOK | Behaviour.DROP_AFTER:
                line = self._books.write("book", tracking=f"trk_{uuid4().hex}", **msgspec.structs.asdict(booking))
                self._bookings[booking.reference].append(line)
                if todo is Behaviour.DROP_AFTER:
                    raise Dropped
                return Answer(201, {"tracking": line["tracking"]})

    def find(self, reference: str) -> Answer:
        """Everything booked under a reference."""
        with self._reference(reference):
            return Answer(200, {"bookings": self._bookings.get(reference, [])})

    def cancel(self, tracking: str) -> Answer:
        """Take a booking back; the books keep both."""
        with self._lock:
            known = [line for lines in list(self._bookings.values()) for line in lines if line["tracking"] == tracking]
            if not known:
                return Answer(404, {"reason": f"no booking {tracking}"})
            line = known[0]
            self._books.write("cancel", tracking=tracking, reference=line["reference"], order_id=line["order_id"])
            return Answer(200, {"tracking": tracking})

    def change(self, settings: Settings) -> Answer:
        """Behave so from now on, and after a restart."""
        self._books.write("settings", settings=msgspec.to_builtins(settings))
        self.settings = settings
        return Answer(200, msgspec.to_builtins(settings))

    def everything(self) -> Answer:
        """Every line ever written."""
        return Answer(200, {"lines": self._books.lines()})

    def _reference(self, reference: str) -> threading.Lock:
        with self._lock:
            return self._busy[reference]
