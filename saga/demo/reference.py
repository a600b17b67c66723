"""The reference domain: where its code lies, its participants and definitions, and the outside world they act on.

In a wheel `services` and `contracts` are data under `bundle`; in a checkout they are at the root of the repository.
Nothing but a process that asks for them here gets them as importable names.
"""

import asyncio
import importlib
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from saga.core.errors import SagaError
from saga.define import Definition
from saga.named import definitions_in
from saga.participant import Participant, participant_of

SERVICES = ("inventory", "payments", "shipping", "notifications")
DEFINITIONS = "services.ordering.definitions"
CARRIER_URL, SMTP_URL = "SAGA_CARRIER_URL", "SAGA_SMTP_URL"
HOST = "127.0.0.1"


class NoReference(SagaError):
    """This installation does not carry the reference domain."""

    code = "SAGA-6003"


class World(msgspec.Struct, frozen=True):
    """Where the outside world is, and the books it keeps."""

    carrier: str
    smtp: str


def folder() -> Path:
    """What holds `services` and `contracts`. Raises NoReference."""
    here = Path(__file__).parent
    for candidate in (here / "bundle", here.parents[1]):
        if (candidate / "services" / "ordering").is_dir():
            return candidate
    raise NoReference(f"there are no reference services under {here / 'bundle'}. Fix: install saga-engine from a wheel")


def make_importable() -> None:
    """Let this process import the reference domain, before anything else of those names."""
    place = str(folder())
    if place not in sys.path[:1]:
        sys.path.insert(0, place)


def participants() -> list[Participant]:
    """The four services, as the environment configures them. Call `make_importable` first."""
    return [participant_of(importlib.import_module(f"services.{name}").participant) for name in SERVICES]


def definitions() -> list[Definition[Any, Any]]:
    """The `order` saga. Call `make_importable` first."""
    return definitions_in(DEFINITIONS)


@asynccontextmanager
async def world(books: Path) -> AsyncIterator[World]:
    """A carrier and a mail server in this process, on free ports, which the environment then names."""
    carrier, bookings, behaviour, mailsink, ledger = (
        importlib.import_module(f"services.world.{name}")
        for name in ("carrier", "bookings", "behaviour", "mailsink", "books")
    )
    office = carrier.Office(HOST, 0, bookings.Carrier(ledger.Books(books / "carrier.jsonl"), behaviour.Settings()))
    desk = threading.Thread(target=office.serve_forever, kwargs={"poll_interval": 0.05}, name="carrier")
    desk.start()
    sink = mailsink.Sink(ledger.Books(books / "mail.jsonl"), mailsink.SinkSettings())
    server: asyncio.Server = await mailsink.serve(HOST, 0, sink)
    try:
        found = World(office.url, "smtp://{}:{}".format(*server.sockets[0].getsockname()[:2]))
        os.environ |= {CARRIER_URL: found.carrier, SMTP_URL: found.smtp}
        yield found
    finally:
        server.close()
        await asyncio.to_thread(office.shutdown)
        office.server_close()
        desk.join()


def example_order(order_id: str, *, country: str = "NL", customer: str = "ada") -> bytes:
    """The input of an order, as a caller in any language would write it."""
    order = {
        "order_id": order_id,
        "customer": customer,
        "email": f"{customer}@example.org",
        "address": {"name": customer.title(), "street": "Kade 7", "city": "Delft", "country": country},
        "lines": [{"sku": "sku-7", "unit_count": 2}],
        "total": "42.00",
    }
    return msgspec.json.format(msgspec.json.encode(order), indent=2)
