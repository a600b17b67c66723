"""The reference domain: where its code lies, its processes, their participants, and the outside world they act on.

In a wheel `services` and `contracts` are data under `bundle`; in a checkout they are at the root of the repository.
Nothing but a process that asks for them here gets them as importable names.
"""

import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from saga.core.errors import SagaError
from saga.define import Definition
from saga.demo import examples
from saga.named import definitions_in
from saga.participant import Participant, participant_of

HOST = "127.0.0.1"


class Outside(msgspec.Struct, frozen=True):
    """A business of the outside world, `services.world.<its name>`."""

    address: str
    """Variable that tells services where it is."""
    books: str
    """File in which it writes down what happened."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A reference process, named like its definition: what runs it, and what it acts on."""

    about: str
    """In a line, for who has to choose."""
    module: str
    """Of its definitions."""
    services: tuple[str, ...]
    """`services.<name>`, in the order in which they are started."""
    world: tuple[str, ...]
    """Of `WORLD`."""
    example: Callable[[str], bytes]
    """An input under a business key."""
    approvers: Mapping[str, tuple[str, ...]] = {}
    """People and their roles, where somebody has to decide."""


WORLD: Mapping[str, Outside] = {
    "carrier": Outside("SAGA_CARRIER_URL", "carrier.jsonl"),
    "cloud": Outside("SAGA_CLOUD_URL", "cloud.jsonl"),
    "crm": Outside("SAGA_CRM_URL", "crm.jsonl"),
    "mailsink": Outside("SAGA_SMTP_URL", "mail.jsonl"),
}
PIECES: Mapping[str, Piece] = {
    "order": Piece(
        about="stock, money, a courier, a mail; what was done is undone when the carrier refuses",
        module="services.ordering.definitions",
        services=("inventory", "payments", "shipping", "notifications"),
        world=("carrier", "mailsink"),
        example=examples.order,
    ),
    "customer-onboarding": Piece(
        about="account, money, infrastructure beside a mailbox, welcome; undone when the infrastructure fails late",
        module="services.onboarding.definitions",
        services=("customers", "payments", "provisioning", "mailboxes", "notifications"),
        world=("cloud", "mailsink"),
        example=examples.customer,
    ),
    "hr-onboarding": Piece(
        about="account and privileges as a sub-saga that somebody approves, desk, badge, welcome; undone as one unit",
        module="services.hr.definitions",
        services=("accounts", "workplace", "notifications"),
        world=("mailsink",),
        example=examples.hire,
        approvers={"eve": ("it-security",), "dan": ("head-of-it",)},
    ),
    "agency-outreach": Piece(
        about="research, brief, draft, somebody's approval of the message, the message, a contact in the CRM",
        module="services.outreach.definitions",
        services=("research", "documents", "drafting", "notifications", "contacts"),
        world=("mailsink", "crm"),
        example=examples.lead,
        approvers={"eve": ("editor",), "dan": ("editor",)},
    ),
}


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


def services(names: Iterable[str]) -> tuple[str, ...]:
    """Services of these pieces, each once."""
    return tuple(dict.fromkeys(service for name in names for service in PIECES[name].services))


def world_of(names: Iterable[str]) -> tuple[str, ...]:
    """What of the outside world these pieces need, each once."""
    return tuple(dict.fromkeys(outside for name in names for outside in PIECES[name].world))


def approvers(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The people of these pieces, with all their roles."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        for person, roles in PIECES[name].approvers.items():
            found[person] = tuple(dict.fromkeys((*found.get(person, ()), *roles)))
    return found


def participants(names: Iterable[str]) -> list[Participant]:
    """The services of these pieces, as the environment configures them. Call `make_importable` first."""
    return [participant_of(importlib.import_module(f"services.{name}").participant) for name in services(names)]


def definitions(names: Iterable[str]) -> list[Definition[Any, Any]]:
    """The definitions of these pieces. Call `make_importable` first."""
    modules = dict.fromkeys(PIECES[name].module for name in names)
    return [definition for module in modules for definition in definitions_in(module)]


@asynccontextmanager
async def world(names: Iterable[str], books: Path) -> AsyncIterator[dict[str, str]]:
    """The outside world of these pieces in this process, on free ports; gives addresses, and the environment has them.

    Call `make_importable` first.
    """
    async with AsyncExitStack() as stack:
        addresses: dict[str, str] = {}
        for name in world_of(names):
            listening = importlib.import_module(f"services.world.{name}").listening
            addresses[name] = await stack.enter_async_context(listening(HOST, books / WORLD[name].books))
            os.environ[WORLD[name].address] = addresses[name]
        yield addresses
