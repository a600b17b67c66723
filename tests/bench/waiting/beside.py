"""What very many waiting sagas do to everything beside them: memory, other sagas, an approval, a person's commands."""

import asyncio
import time

import msgspec

from saga.stores import open_store
from tests.bench.stage import Stage
from tests.bench.waiting import stores
from tests.bench.waiting.approving import WARM_UP, Approved, approve_some, some_waiting
from tests.bench.waiting.contracts import LETTERS
from tests.bench.waiting.listing import Asked, ask_all
from tests.bench.waiting.memory import Memory, memory_of
from tests.bench.waiting.place import DESK, Told, Waiting, fill_with_letters

WARM_UP_ORDERS = 100
IDLE_SECONDS = 3.0
"""A process that has just started is given so long before its memory is read: a few looks at the clock and history."""
FEW_SPARE = 50


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    waiting: int
    pairs: int
    orders: int
    approvals: int
    fillers: int


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Orders beside a store."""

    store: str
    orders_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    idle: Memory
    loaded: Memory
    """Of the orchestrator, before and after the orders."""


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured with one kind of store: rounds in turns, beside `empty` and beside `full`."""

    kind: str
    waiting: int
    fill_seconds: float
    filled: stores.Size
    settled: stores.Size
    rounds: list[Round]
    approved: dict[str, Approved]
    asked: dict[str, list[Asked]]


def measure_beside(stage: Stage, kind: str, load: Load, told: Told) -> Beside:
    """Fill, then measure in turns. The empty store holds no more than the letters that are approved there."""
    fillers = load.fillers if kind == "postgres" else 1
    empty = Waiting(stage, f"{kind}-empty", load.approvals + FEW_SPARE, fillers)
    full = Waiting(stage, f"{kind}-full", load.waiting, fillers)
    _fill(stage, empty, told)
    seconds, filled, settled = _fill(stage, full, told)
    rounds: list[Round] = []
    for number in range(1, load.pairs + 1):
        for side in (empty, full) if number % 2 else (full, empty):
            rounds.append(_round(side, number, load.orders))
            one = rounds[-1]
            told(f"pair {number}: {side.name:14} {one.orders_per_second:7.1f} orders/s, {one.loaded.pss} MiB")
    approved = {side.name: _approved(stage, side, load.approvals) for side in (empty, full)}
    told("commands of people")
    return Beside(
        kind=kind,
        waiting=load.waiting,
        fill_seconds=seconds,
        filled=filled,
        settled=settled,
        rounds=rounds,
        approved=approved,
        asked={side.name: ask_all(side.store, stage.amqp("deploy")) for side in (empty, full)},
    )


def _fill(stage: Stage, side: Waiting, told: Told) -> tuple[float, stores.Size, stores.Size]:
    asyncio.run(stores.prepare(side.store))
    side.prepare()
    seconds = fill_with_letters(stage, side, told)
    filled, settled, followed = stores.in_order(side.store)
    told(f"{side.name}: {side.waiting} wait, {seconds} s, {settled.total / 1e6:.0f} MB, {followed} commits followed")
    return seconds, filled, settled


def _round(side: Waiting, number: int, orders: int) -> Round:
    running = side.start()
    try:
        pid = running.pids["orchestrator 1"]
        time.sleep(IDLE_SECONDS)
        idle = memory_of(pid)
        running.caller.place(f"warm{number}", WARM_UP_ORDERS)
        placed = running.caller.place(f"round{number}", orders)
        loaded = memory_of(pid)
        running.check(f"round{number}", orders)
    finally:
        running.stop()
    return Round(
        store=side.name,
        orders_per_second=round(orders / placed.seconds, 1),
        p50_ms=placed.p50_ms,
        p99_ms=placed.p99_ms,
        idle=idle,
        loaded=loaded,
    )


def _approved(stage: Stage, side: Waiting, count: int) -> Approved:
    running = side.start()
    try:
        running.caller.place("approving", WARM_UP_ORDERS)
        return asyncio.run(_approve(stage, side, count))
    finally:
        running.stop()


async def _approve(stage: Stage, side: Waiting, count: int) -> Approved:
    store = await open_store(side.store)
    try:
        asked = await some_waiting(store, side.prefixes, range(side.waiting // len(side.prefixes)), count + WARM_UP)
    finally:
        await store.close()
    return await approve_some(asked, stage.amqp(DESK), stage.amqp(LETTERS))
