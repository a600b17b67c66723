"""A carrier: a small HTTP server that books parcels, and does it badly when told to.

    POST   /quotes    {"country"}                          200 {"carrier", "price_cents"}
    POST   /bookings  {"reference", "order_id", "country"} 201 {"tracking"} · 409 {"reason"} · 503 · no answer
    GET    /bookings?reference=R                           200 {"bookings": [...]}   after what R is busy with
    DELETE /bookings/TRACKING                              200, or 404
    GET    /settings · PUT /settings {...}                 how it behaves; kept over a restart
    GET    /books                                          200 {"lines": [...]}      everything that ever happened

It does not recognise a repeat: two requests with one reference are two bookings, which is why shipping has to ask.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from services.world import office
from services.world.behaviour import Settings
from services.world.bookings import CARRIER, PRICE_CENTS, Booking, Carrier
from services.world.books import Books
from services.world.business import Command, about_itself
from services.world.office import Answer, Request, Route

COMMAND = Command(
    name="carrier",
    description="A carrier that can misbehave.",
    port=8081,
    customers="orders",
    refused="orders refused at booking",
    done="booked",
)


def routes(carrier: Carrier) -> Route:
    """What is asked of the carrier over HTTP."""

    def route(asked: Request) -> Answer:
        match asked.method, asked.path:
            case "POST", ("quotes",):
                return Answer(200, {"carrier": CARRIER, "price_cents": PRICE_CENTS})
            case "POST", ("bookings",):
                return carrier.book(msgspec.json.decode(asked.body, type=Booking))
            case "GET", ("bookings",):
                return carrier.find(asked.query.get("reference", ""))
            case "DELETE", ("bookings", tracking):
                return carrier.cancel(tracking)
            case _:
                return about_itself(carrier, asked)

    return route


@asynccontextmanager
async def listening(host: str, books: Path) -> AsyncIterator[str]:
    """A well-behaved carrier in this process; gives its address."""
    async with office.listening(routes(Carrier(Books(books), Settings())), host) as url:
        yield url


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    COMMAND.run(lambda books, settings: routes(Carrier(books, settings)), arguments)


if __name__ == "__main__":
    main()
