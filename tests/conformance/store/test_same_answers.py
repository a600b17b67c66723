"""Any sequence of calls gets the same answers from memory, SQLite and Postgres."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saga.core.errors import DefinitionConflict
from saga.core.rows import first_id_at
from saga.ports import Batch, ParkedFilter, SagaFilter, Store, StoredDefinition
from tests.conformance.store.places import KINDS, WEIRD_TEXTS, Place, advance, new_saga, parked, sqlite_file, view

SEEDS = (1, 2, 3)
STEPS_MIN = 250
STEPS_MAX = 5_000
# Long past or far ahead: due or not due, whatever the clock of the database says.
TIMES = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(microseconds=year) for year in (2001, 2002, 2003, 2201, 2202)]
NAMES = ("order", "refund", *WEIRD_TEXTS[:2])
STATUSES = ("running", "parked", "completed")
REASONS = ("not-json", "unknown-saga")


class Calls:
    """Draws calls; the same seed draws the same calls. `known` holds what was started, with its version."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.known: dict[str, int] = {}
        self.ids = [
            f"{first_id_at(TIMES[0] + timedelta(seconds=number))[:-12]}{self.dice.getrandbits(48):012x}"
            for number in range(60)
        ]
        self.done: list[Batch] = [Batch()]

    def draw(self) -> tuple[str, dict[str, Any]]:
        kind = self.dice.choice(sorted(CALLS))
        return kind, CALLS[kind](self)

    def some(self) -> list[str]:
        return self.dice.sample(self.ids, self.dice.randint(0, 8))

    def view(self) -> Any:
        tags = {
            self.dice.choice("ab"): self.dice.choice(["1", "2", *WEIRD_TEXTS]) for _ in range(self.dice.randint(0, 2))
        }
        return view(self.dice.choice(STATUSES), self.dice.choice(["", "reply"]), self.dice.choice(WEIRD_TEXTS), **tags)

    def moment(self) -> datetime | None:
        return self.dice.choice([None, *TIMES])

    def commit(self) -> dict[str, Any]:
        if self.dice.random() < 0.15:
            return {"batch": self.dice.choice(self.done)}  # its answer was lost
        chosen = self.some()
        half = self.dice.randint(0, len(chosen))
        batch = Batch(
            starts=[
                new_saga(
                    saga=saga,
                    name=self.dice.choice(NAMES),
                    start_key=f"k:{self.dice.randint(0, 40)}",
                    data=self.dice.randbytes(self.dice.randint(0, 30)),
                    cause=self.dice.choice(WEIRD_TEXTS),
                    definition=self.dice.choice("de"),
                    view=self.view(),
                    wake_at=self.moment(),
                )
                for saga in chosen[:half]
            ],
            advances=[
                advance(
                    saga,
                    max(self.known.get(saga, 1) - self.dice.choice([0, 0, 0, 1]), 0),
                    self.dice.randbytes(self.dice.randint(0, 2)),
                    cause=self.dice.choice(WEIRD_TEXTS),
                    view=self.view(),
                    wake_at=self.dice.choice([msgspec.UNSET, None, self.moment()]),
                    only_earlier=self.dice.random() < 0.5,
                )
                for saga in chosen[half:]
            ],
            # One at most: the order of those of one commit is not promised.
            parked=[parked(message_id=self.dice.choice(["", "m1", "m2", "m3"]), reason=self.dice.choice(REASONS))]
            * self.dice.choice([0, 0, 1]),
        )
        self.done.append(batch)
        return {"batch": batch}

    def definition(self) -> StoredDefinition:
        content = self.dice.choice("de")
        return StoredDefinition(content, self.dice.choice(NAMES[:2]), self.dice.randint(1, 2), content.encode())

    def where(self) -> SagaFilter:
        chances: dict[str, Any] = {
            "ids": tuple(self.some()),
            "name": self.dice.choice(NAMES),
            "statuses": tuple(self.dice.sample(STATUSES, self.dice.randint(0, 2))),
            "wait_kind": self.dice.choice(["", "reply"]),
            "start_key": f"k:{self.dice.randint(0, 40)}",
            "tags": {self.dice.choice("ab"): self.dice.choice(["1", "2"])},
            "started_after": TIMES[0] + timedelta(seconds=self.dice.randint(0, 60)),
            "started_before": TIMES[0] + timedelta(seconds=self.dice.randint(0, 60)),
            "before": self.dice.choice(self.ids),
            "oldest_first": True,
            "due_before": self.dice.choice(TIMES),
        }
        wanted = {field: value for field, value in chances.items() if self.dice.random() < 0.2}
        return SagaFilter(**wanted, limit=self.dice.choice([2, 50]))


def _parked(calls: Calls) -> ParkedFilter:
    chances: dict[str, Any] = {
        "origin": "saga.replies",
        "reason": calls.dice.choice(REASONS),
        "settled": calls.dice.random() < 0.5,
        "after": 0,
    }
    return ParkedFilter(**{field: value for field, value in chances.items() if calls.dice.random() < 0.2})


CALLS: dict[str, Callable[[Calls], dict[str, Any]]] = {
    "commit": Calls.commit,
    "load": lambda calls: {"since": {saga: calls.dice.randint(0, 3) for saga in calls.some()}},
    "find": lambda calls: {"keys": [(calls.dice.choice(NAMES), f"k:{n}") for n in calls.dice.sample(range(41), 9)]},
    "claim": lambda calls: {"limit": calls.dice.randint(0, 4), "lease_seconds": 10**6},
    "rearm": lambda calls: {"wakes": {saga: (calls.known.get(saga, 1), calls.moment()) for saga in calls.some()}},
    "dispatched": lambda calls: {"versions": {saga: calls.dice.randint(0, 9) for saga in calls.some()}},
    "publish": lambda calls: {"definition": calls.definition()},
    "get": lambda calls: {"hash": calls.dice.choice("def")},
    "named": lambda calls: {"name": calls.dice.choice([None, *NAMES])},
    "sagas": lambda calls: {"where": calls.where()},
    "history": lambda calls: {"saga": calls.dice.choice(calls.ids), "after": calls.dice.randint(0, 2), "limit": 3},
    "parked": lambda calls: {"where": _parked(calls), "limit": calls.dice.choice([3, 50])},
    "parked_counts": lambda calls: {"newest": calls.dice.choice([2, 1_000])},
}


async def answer(store: Store, kind: str, arguments: dict[str, Any]) -> Any:
    """What the store says, without its clock and its row numbers."""
    call: Callable[..., Awaitable[Any]] = getattr(store, kind)
    try:
        found = await call(**arguments)
    except DefinitionConflict as conflict:
        return str(conflict)
    return _comparable(kind, found)


def _comparable(kind: str, found: Any) -> Any:
    match kind:
        case "commit":
            return found.sagas
        case "get" | "named":
            every = found if kind == "named" else [found] if found else []
            return [msgspec.structs.replace(each, published_at=None) for each in every]
        case "history":
            return [msgspec.structs.replace(row, at=TIMES[0]) for row in found]
        case "parked" | "parked_counts":
            return [row.message if kind == "parked" else (row.reason, row.origin, row.count) for row in found]
        case "sagas":
            return [msgspec.structs.replace(row, wake_at=_steady(row.wake_at)) for row in found]
        case "claim":
            return [(due.saga, due.wake_at) for due in found]
        case "load":
            return {saga: msgspec.structs.replace(tail, wake_at=_steady(tail.wake_at)) for saga, tail in found.items()}
        case _:
            return found


def _steady(moment: datetime | None) -> datetime | str | None:
    """A lease is counted from the clock of each store."""
    return moment if moment is None or moment in TIMES else "leased"


def _succeeded(kind: str, said: Any) -> bool:
    return (kind in {"rearm", "dispatched", "publish"} and not said) or bool(said)


@pytest.mark.parametrize("seed", SEEDS)
async def test_memory_sqlite_and_postgres_answer_alike(seed: int, database: str, tmp_path: Path) -> None:
    """Random calls, every answer compared, until each kind of call has succeeded."""
    places = [Place(kind, database if kind == "postgres" else sqlite_file(tmp_path)) for kind in KINDS]
    async with AsyncExitStack() as opened:
        for place in places:
            opened.push_async_callback(place.close)
        await compare(places, Calls(seed))


async def compare(places: list[Place], calls: Calls) -> None:
    """Ask every store the same until each kind of call has succeeded."""
    stores = [await place.open() for place in places]
    for store in stores:
        await store.migrate()
    succeeded: Counter[str] = Counter()
    for step in range(STEPS_MAX):
        kind, arguments = calls.draw()
        expected, *others = [await answer(store, kind, arguments) for store in stores]
        for place, said in zip(places[1:], others, strict=True):
            assert said == expected, f"step {step}: {kind}({arguments}) on {place.kind}"
        succeeded[kind] += _succeeded(kind, expected)
        tails = await stores[0].load(dict.fromkeys(calls.ids, 0))
        calls.known |= {saga: tail.version for saga, tail in tails.items()}
        if step >= STEPS_MIN and all(succeeded[each] for each in CALLS):
            break
    assert not CALLS.keys() - +succeeded
