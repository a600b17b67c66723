"""Where a store keeps its data, for tests that open it more than once; and values with sensible defaults."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from saga.adapters import postgres, sqlite
from saga.adapters.memory import MemoryStore
from saga.adapters.system import SystemClock, SystemIds
from saga.core.state import View
from saga.ports import Advance, Batch, Clock, NewSaga, ParkedMessage, Store

KINDS = ("memory", "sqlite", "postgres")
FUTURE = datetime(2200, 1, 1, tzinfo=UTC)
PAST = datetime(2001, 1, 1, 12, 30, tzinfo=UTC)
WEIRD_TEXTS = ("nul \x00 inside", "\ud800 lone", "🦀 é\u0301 \u202e\u200d", "a'b\"c\\d;--", "", " \t\r\n", "ÿ\uffff")

ids = SystemIds()
_numbers = itertools.count(1)


class Place:
    """One set of data; `open` gives a further, independent store on it."""

    def __init__(self, kind: str, where: str, clock: Clock | None = None) -> None:
        self.kind = kind
        self.where = where
        self.clock = clock or SystemClock()
        self._memory = MemoryStore(self.clock)
        self._opened: list[Store] = []

    async def open(self) -> Store:
        store: Store = self._memory
        if self.kind == "sqlite":
            store = await sqlite.open_store(self.where, clock=self.clock)
        elif self.kind == "postgres":
            store = await postgres.open_store(self.where)
        self._opened.append(store)
        return store

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


def sqlite_file(folder: Path) -> str:
    return str(folder / "journal.sqlite")


def view(status: str = "running", wait_kind: str = "reply", wait_text: str = "", **tags: str) -> View:
    return View(status=status, wait_kind=wait_kind, wait_text=wait_text, tags=tags)


def new_saga(**changes: Any) -> NewSaga:
    """A start with an id and a key of its own."""
    saga = changes.pop("saga", None) or ids.saga()
    values: dict[str, Any] = {
        "saga": saga,
        "name": "order",
        "start_key": f"k:{next(_numbers)}",
        "input_hash": b"\x00\xff",
        "root": saga,
        "parent": None,
        "definition": "d" * 64,
        "cause": "start",
        "data": b"started",
        "view": view(),
        "wake_at": None,
    }
    return NewSaga(**(values | changes))


def advance(saga: str, expected_version: int, data: bytes = b"moved", **changes: Any) -> Advance:
    values: dict[str, Any] = {"cause": "reply", "view": view()}
    return Advance(saga=saga, expected_version=expected_version, data=data, **(values | changes))


def parked(**changes: Any) -> ParkedMessage:
    values: dict[str, Any] = {
        "origin": "saga.replies",
        "reason": "unknown-saga",
        "detail": "no such saga",
        "exchange": "saga.replies",
        "routing_key": "payments.ok",
        "body": b"{}",
        "headers": {"saga-id": "x"},
        "message_id": f"m{next(_numbers)}",
        "correlation_id": "c",
        "type": "payments.CardCharged.v1",
        "reply_to": "",
        "sender": "payments",
    }
    return ParkedMessage(**(values | changes))


async def started(store: Store, count: int = 1, **changes: Any) -> list[str]:
    """Ids of newly started sagas."""
    starts = [new_saga(**changes) for _ in range(count)]
    done = await store.commit(Batch(starts=starts))
    assert done.sagas == {start.saga for start in starts}
    return [start.saga for start in starts]


async def commits(store: Store, saga: str) -> tuple[bytes, ...]:
    return (await store.load({saga: 0}))[saga].commits


def later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)


def stored(text: str) -> str:
    """What becomes of a text that Postgres cannot keep."""
    return "".join("\ufffd" if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in text)


def changed(value: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(value, **changes)
