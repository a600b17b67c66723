"""Following a saga: every stored event once, until it has ended."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec
import pytest

from saga.adapters.sqlite import open_store
from saga.adapters.sqlite.store import SqliteStore
from saga.adapters.system import SystemClock
from saga.cli.watch import Follower, Lines
from saga.core.inputs import Abandon, Pause, Resume
from saga.core.messages import Outcome, ReplyEffect
from saga.engine.operate import Operation, operate
from saga.ports import HistoryRow, SagaFilter, SagaRow, Unavailable
from saga.stores import CLOCK
from tests.builders import plan
from tests.unit.cli.conftest import Type, Typed
from tests.unit.engine.family import DAYS, INNER, asking, row, to_engine
from tests.unit.engine.rig import Rig

NOBODY = "01930000-0000-7000-8000-00000000ffff"
Step = Callable[[], Awaitable[object]]
Steps = list[Step]
Kind = type[Pause] | type[Resume] | type[Abandon]
After = Callable[[Kind], Step]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """What happens between two looks, in order, instead of waiting; after the last, Ctrl-C."""
    steps: Steps = []

    async def sleep(_clock: SystemClock, _seconds: float) -> None:
        if steps:
            await steps.pop(0)()
        else:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background has it ignored
    yield steps
    signal.signal(signal.SIGINT, usual)


@pytest.fixture
def after(store: str, started: str) -> After:
    """Another process operates the saga."""

    def doing(kind: Kind) -> Step:
        async def do() -> None:
            opened = await open_store(store.removeprefix("sqlite:///"), clock=CLOCK)
            operation: Operation = kind(now=CLOCK.now(), actor="ann", reason="r")
            await operate(opened, CLOCK, started, operation)
            await opened.close()

        return do

    return doing


async def nothing() -> None:
    """Nobody does anything."""


def events(done: Typed) -> list[tuple[int, str]]:
    """Version and kind of each printed event."""
    lines = [msgspec.json.decode(line) for line in done.out.splitlines()]
    return [(line["version"], line["event"]["event"]) for line in lines]


@pytest.mark.parametrize("by", ["id", "key"])
def test_each_event_is_printed_once_as_it_comes(saga: Type, started: str, steps: Steps, after: After, by: str) -> None:
    """As JSON, whoever writes them, until it ends; the exit code says how."""
    steps += [nothing, after(Pause), nothing, nothing, after(Resume), after(Abandon)]
    done = saga("watch", started if by == "id" else "order/o1", "-o", "jsonl")
    assert (done.code, done.err) == (8, "")
    kinds = [kind for _, kind in events(done)]
    assert kinds[:2] == ["SagaStarted", "CommandIssued"]
    assert kinds[-1] == "SagaAbandoned"
    assert [kind for kind in kinds if kind in {"SagaPaused", "SagaResumed"}] == ["SagaPaused", "SagaResumed"]
    recorded = [
        (row["version"], event["event"])
        for row in saga("history", started, "-o", "json").json()
        for event in row["events"]
    ]
    assert events(done) == recorded


def test_people_see_lanes(saga: Type, started: str, steps: Steps, after: After) -> None:
    """Off a terminal plain lines, the same ones, and the lanes at the end."""
    steps += [after(Abandon)]
    done = saga("watch", started)
    assert done.code == 8
    assert "order v1 started, key o1" in done.out
    assert "reserve-service.Reserve" in done.out
    assert "abandoned" in done.out
    assert "forward" in done.out.splitlines()[-1]
    assert "\x1b" not in done.out


def test_one_that_has_ended_is_told_at_once(saga: Type, started: str, steps: Steps) -> None:
    """Without a wait."""
    saga("abandon", started, "--reason", "r", "--yes")
    assert saga("watch", started).code == 8
    assert saga("watch", started, "--timeout", "0").code == 8
    assert steps == []


@pytest.mark.usefixtures("steps")
def test_ctrl_c_leaves(saga: Type, started: str) -> None:
    """130, what was seen stays, and the saga goes on."""
    done = saga("watch", started)
    assert (done.code, done.err.strip()) == (130, "aborted")
    assert "started, key o1" in done.out
    assert saga("show", started, "-o", "json").json()["status"] == "running"


def test_not_in_time(saga: Type, started: str) -> None:
    """124, and what to type to see why."""
    done = saga("watch", started, "--timeout", "0.05", "-o", "jsonl")
    assert done.code == 124
    assert f"saga show {started}" in done.err
    assert ("SagaStarted" in done.out) or not done.out


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("reference", [NOBODY, "order/nobody", "nonsense"])
def test_nobody_to_follow(saga: Type, reference: str) -> None:
    """Exit code 3, as of show."""
    assert saga("watch", reference).code == 3


def test_a_parked_saga_is_followed_on(
    saga: Type, started: str, steps: Steps, after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is told to stop there, with 8."""
    real = SqliteStore.sagas

    async def parked(store: SqliteStore, where: SagaFilter) -> Sequence[SagaRow]:
        return [
            msgspec.structs.replace(row, status="parked") if row.status == "running" else row
            for row in await real(store, where)
        ]

    monkeypatch.setattr(SqliteStore, "sagas", parked)
    assert saga("watch", started, "--until-parked").code == 8
    assert saga("watch", started).code == 130
    steps += [after(Abandon)]
    assert "abandoned" in saga("watch", started).out


def test_a_store_that_goes_away_is_waited_for(
    saga: Type, started: str, steps: Steps, after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and nothing is shown twice or left out; a store that was never there is an error."""
    reads, real_history, real_sagas = [0], SqliteStore.history, SqliteStore.sagas
    away = {3, 4, 7}

    def read() -> None:
        reads[0] += 1
        if reads[0] in away:
            raise Unavailable("gone for lunch")

    async def history(store: SqliteStore, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        read()
        return await real_history(store, saga, after, limit)

    async def sagas(store: SqliteStore, where: SagaFilter) -> Sequence[SagaRow]:
        read()
        return await real_sagas(store, where)

    monkeypatch.setattr(SqliteStore, "history", history)
    monkeypatch.setattr(SqliteStore, "sagas", sagas)
    steps += [nothing, nothing, after(Pause), nothing, after(Abandon), nothing, nothing]
    done = saga("watch", started, "-o", "jsonl")
    assert done.code == 8
    assert done.err.count("waiting for the store: gone for lunch") == 2
    assert len(events(done)) == len(set(events(done)))
    assert [kind for _, kind in events(done)][-1] == "SagaAbandoned"
    reads[0], away = 0, {1}
    assert saga("watch", started).code == 6


async def test_what_below_a_saga_needs_a_person_is_said_once() -> None:
    """Nothing happens to the saga itself meanwhile; when somebody has helped, its own reason is back."""

    class Silent(Lines):
        def event(self, row: HistoryRow) -> None:
            """Nothing."""

    rig = Rig(plan(asking("access"), name="top", deadline=DAYS), INNER)
    process = await rig.process()
    await process.hop(await rig.start(name="top"))
    await to_engine(rig, process)
    top, inner = await row(rig, "top"), await row(rig, "inner")
    follower = Follower(rig.store, top.saga, Silent())
    assert (await follower.news()).saga == top.saga
    assert await follower.below() is None
    asked = await rig.command()
    await process.hop(await rig.reply(asked, Outcome.REFUSED, code="in-doubt", effect=ReplyEffect.NONE))
    assert await follower.news() is None
    said = await follower.below()
    assert said.wait_text.startswith("access parked: in-doubt: ")
    assert said.wait_text.endswith(f"saga show {top.saga} says more")
    assert await follower.below() is None
    await operate(rig.store, rig.clock, inner.saga, Abandon(now=rig.clock.now(), actor="ann", reason="r"))
    assert (await follower.below()).wait_text == top.wait_text
