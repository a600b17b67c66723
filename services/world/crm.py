"""A CRM: a small HTTP server that writes contacts down, once for each idempotency key.

    PUT /contacts/EMAIL   Idempotency-Key: K   {"reference", "name", "company", "document_id", "mail_id"}
                          200 {"contact_id", "created"} · 400 without a key · 422 for a key with another contact
                          503 · no answer
    GET /books            200 {"lines": [...]}   everything that ever happened

A key that it has seen does nothing, also after a restart: the first answer comes again. Its books have a line `upsert`
for each contact written and `replay` for each time it only answered.
"""

import argparse
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import msgspec

from services.world import office
from services.world.books import Books
from services.world.office import Answer, Dropped, Request, Route


class CrmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of requests, from 0 to 1."""

    unavailable_rate: float = 0.0
    """Answered 503; nothing was written."""
    drop_after_rate: float = 0.0
    """Written down, and the connection ends without an answer."""
    seed: int | None = None

    def __post_init__(self) -> None:
        for field in ("unavailable_rate", "drop_after_rate"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field}={getattr(self, field)} is no share. Fix: a number from 0 to 1")


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written down about one address."""

    reference: str
    name: str
    company: str
    document_id: str
    mail_id: str


class Crm:
    """What the CRM does. Books of an earlier process are gone on with."""

    def __init__(self, books: Books, settings: CrmSettings) -> None:
        self._books = books
        self._settings = settings
        self._lock = threading.Lock()
        self._chance = random.Random(settings.seed)  # noqa: S311 - faults are no secrets
        written = books.lines("upsert")
        self._by_key = {line["idempotency_key"]: line for line in written}
        self._ids = {line["email"]: line["contact_id"] for line in written}

    def put(self, email: str, contact: Contact, key: str) -> Answer:
        """Write a contact down, or answer as before. Raises Dropped when the caller is to hear nothing."""
        if not key:
            return Answer(400, {"reason": "no Idempotency-Key"})
        with self._lock:
            if self._chance.random() < self._settings.unavailable_rate:
                return Answer(503, {"reason": "the CRM is being upgraded"})
            told = {"email": email, **msgspec.structs.asdict(contact)}
            line = self._by_key.get(key)
            if line is None:
                line = self._written(key, told)
            elif any(line[name] != value for name, value in told.items()):
                return Answer(422, {"reason": "the key was used for another contact"})
            else:
                self._books.write("replay", idempotency_key=key, reference=contact.reference)
            if self._chance.random() < self._settings.drop_after_rate:
                raise Dropped
            return Answer(200, {"contact_id": line["contact_id"], "created": line["created"]})

    def everything(self) -> Answer:
        """Every line ever written."""
        return Answer(200, {"lines": self._books.lines()})

    def _written(self, key: str, told: dict[str, str]) -> dict[str, Any]:
        known = self._ids.get(told["email"])
        contact_id = known or f"con_{uuid4().hex}"
        line = self._books.write("upsert", idempotency_key=key, contact_id=contact_id, created=known is None, **told)
        self._by_key[key] = line
        self._ids[told["email"]] = contact_id
        return line


def routes(crm: Crm) -> Route:
    """What is asked of the CRM over HTTP."""

    def route(asked: Request) -> Answer:
        match asked.method, asked.path:
            case "PUT", ("contacts", email):
                return crm.put(unquote(email), msgspec.json.decode(asked.body, type=Contact), asked.key)
            case "GET", ("books",):
                return crm.everything()
            case _:
                return Answer(404, {"reason": f"no {asked.method} /{'/'.join(asked.path)} here"})

    return route


@asynccontextmanager
async def listening(host: str, books: Path) -> AsyncIterator[str]:
    """A well-behaved CRM in this process; gives its address."""
    async with office.listening(routes(Crm(Books(books), CrmSettings())), host) as url:
        yield url


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    given = _parser().parse_args(arguments)
    try:
        settings = CrmSettings(
            unavailable_rate=given.unavailable_rate, drop_after_rate=given.drop_after_rate, seed=given.seed
        )
    except ValueError as error:
        raise SystemExit(f"crm: {error}") from None
    crm = Crm(Books(given.books), settings)
    office.serve("crm", routes(crm), host=given.host, port=given.port, books=given.books)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.world.crm", description="A CRM that honours idempotency keys."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8083, help="0 takes a free one (default: 8083)")
    parser.add_argument("--books", type=Path, required=True, help="append-only JSON lines; made if missing")
    shares = parser.add_argument_group("behaviour", "Shares from 0 to 1.")
    shares.add_argument("--unavailable-rate", type=float, default=0.0, help="requests answered 503")
    shares.add_argument("--drop-after-rate", type=float, default=0.0, help="contacts written, then dropped")
    shares.add_argument("--seed", type=int, default=None)
    return parser


if __name__ == "__main__":
    main()
