"""A cloud: a small HTTP server that makes networks, machines and addresses, and does it badly when told to.

    POST   /networks   {"customer", "region"}            201 {"id"} · 410 · 503 · no answer
    POST   /machines   {"customer", "inside"}            the same
    POST   /addresses  {"customer", "region", "inside"}  the same, or 409 {"reason"}: the region is full
    DELETE /networks/KEY · /machines/KEY · /addresses/KEY
                                                         200 {"count"} · 409: something stands in it · 503 · no answer
    GET    /settings · PUT /settings {...}               how it behaves; kept over a restart
    GET    /books                                        200 {"lines": [...]}      everything that ever happened

What is made is made under the header `Idempotency-Key`, and the same key makes it once. Its regions are as good as any;
those whose names begin with `aq` have no addresses.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from services.world import office
from services.world.behaviour import Settings
from services.world.books import Books
from services.world.business import Command, about_itself
from services.world.office import Answer, Request, Route
from services.world.resources import KINDS, Cloud, Wish

COMMAND = Command(
    name="cloud",
    description="A cloud that makes machines, well or badly.",
    port=8082,
    customers="customers",
    refused="customers for whom no address is left",
    done="done",
)


def routes(cloud: Cloud) -> Route:
    """What is asked of the cloud over HTTP."""

    def route(asked: Request) -> Answer:
        match asked.method, asked.path:
            case "POST", (kind,) if kind in KINDS:
                if not asked.key:
                    raise ValueError("a request without Idempotency-Key")
                return cloud.create(kind, asked.key, msgspec.json.decode(asked.body, type=Wish))
            case "DELETE", (kind, key) if kind in KINDS:
                return cloud.delete(kind, key)
            case _:
                return about_itself(cloud, asked)

    return route


@asynccontextmanager
async def listening(host: str, books: Path) -> AsyncIterator[str]:
    """A well-behaved cloud in this process; gives its address."""
    async with office.listening(routes(Cloud(Books(books), Settings())), host) as url:
        yield url


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    COMMAND.run(lambda books, settings: routes(Cloud(books, settings)), arguments)


if __name__ == "__main__":
    main()
