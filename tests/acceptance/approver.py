"""People who decide, as a program that a broker user vouches for: they approve, edit, reject, click twice, contradict.

Whoever may not decide tries first. What was said and heard is written to books, a JSON object a line:

    {"kind": "accepted", "key", "approver", "choice"}
    {"kind": "refused", "key", "approver", "choice", "code"}
"""

import argparse
import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.client import Client, Refused
from saga.client.reading import Approvals
from saga.core.messages import Choice
from saga.core.pending import ApprovalDetail
from saga.stores import IDS, open_store
from services.world.books import Books
from tests.acceptance.crowd import BETTER, LESS, PEOPLE, REQUESTER, STRANGER, Wish, wish_of

LOOK_SECONDS = 0.2
WITHIN = timedelta(seconds=60)
REQUESTS_MAX = 500


class Desk:
    """Everybody who decides, behind one client."""

    def __init__(self, client: Client, books: Books) -> None:
        self._client = client
        self._books = books
        self._seen: set[tuple[str, int]] = set()
        self._busy: set[asyncio.Task[None]] = set()

    def look(self, asked: ApprovalDetail) -> None:
        """Decide, once for each request."""
        if (asked.saga, asked.number) not in self._seen:
            self._seen.add((asked.saga, asked.number))
            task = asyncio.ensure_future(self._decide(asked))
            self._busy.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        task.result()  # an error here is one of the program's own

    async def _decide(self, asked: ApprovalDetail) -> None:
        key, (eve, dan) = _key(asked), PEOPLE
        for nobody in (REQUESTER, STRANGER):
            await self._say(asked, key, nobody, Choice.APPROVE)
        match wish_of(key):
            case Wish.APPROVE | Wish.LATE:
                await self._say(asked, key, eve, Choice.APPROVE)
            case Wish.EDIT:
                await self._say(asked, key, eve, Choice.APPROVE, edited=_changed(asked))
            case Wish.REJECT:
                await self._say(asked, key, dan, Choice.REJECT)
            case Wish.TWICE:
                await asyncio.gather(*(self._say(asked, key, eve, Choice.APPROVE) for _ in range(2)))
            case Wish.CONTRADICT:
                await self._say(asked, key, eve, Choice.APPROVE)
                await self._say(asked, key, eve, Choice.REJECT)
            case Wish.RACE:
                clicks = [(eve, Choice.APPROVE), (dan, Choice.REJECT)]
                await asyncio.gather(*(self._say(asked, key, who, choice) for who, choice in clicks))

    async def _say(
        self, asked: ApprovalDetail, key: str, approver: str, choice: Choice, *, edited: object = None
    ) -> None:
        said: dict[str, Any] = {"digest": asked.digest, "approver": approver, "number": asked.number, "within": WITHIN}
        line = {"key": key, "approver": approver, "choice": str(choice)}
        try:
            if choice is Choice.APPROVE:
                await self._client.approve(asked.saga, asked.path, edited=edited, **said)
            else:
                await self._client.reject(asked.saga, asked.path, reason="no", **said)
        except Refused as refused:
            self._books.write("refused", code=refused.code, **line)
        else:
            self._books.write("accepted", **line)


def _key(asked: ApprovalDetail) -> str:
    """The business key of the whole process, which both commands that are approved carry."""
    subject = msgspec.json.decode(asked.subject)
    key: str = subject.get("employee_id") or subject["reference"]
    return key


def _changed(asked: ApprovalDetail) -> object:
    subject = msgspec.json.decode(asked.subject)
    return {**subject, **({"privileges": LESS} if "privileges" in subject else {"subject": BETTER})}


async def _run(given: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    store = await open_store(given.store)
    bus = await open_bus(given.url, name="approver")
    client = Client(bus, IDS, name="approver")
    desk = Desk(client, Books(given.books))
    print("approver ready", flush=True)
    try:
        while not stopped.is_set():
            for asked in await Approvals(store).waiting(limit=REQUESTS_MAX):
                desk.look(asked)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await client.close()
        await bus.close()
        await store.close()


def main(arguments: list[str] | None = None) -> None:
    """Decide until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.approver", description="People who decide.")
    parser.add_argument("--url", required=True, help="amqp://USER:PASSWORD@HOST:PORT/VHOST of a gateway")
    parser.add_argument("--store", required=True, help="to look at what is asked")
    parser.add_argument("--books", type=Path, required=True)
    asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
