"""What operators commit is counted by whoever follows the history: once, and beside what orchestrators counted."""

import pytest

from saga import wire
from saga.adapters.memory.bus import Fate
from saga.core.inputs import Abandon, Cancel, Pause, Resume
from saga.core.metrics import catalogue as m
from saga.core.metrics.tally import Tallies
from saga.core.topology import EVENTS, Binding, Queue, Topology
from saga.engine.catalog import Catalog
from saga.engine.follow import Follower, Progress
from saga.engine.lifecycle import LifecycleSink
from saga.engine.operate import Operation, operate
from saga.engine.operations import verb_of
from saga.engine.redrive import Redriving, redrive
from saga.engine.settings import FollowSettings
from saga.ports import Batch, Bus, ParkedFilter, Sent, Unavailable
from tests.builders import NOW
from tests.metrics import counted
from tests.unit.engine.rig import Rig

SETTINGS = FollowSettings(batch_max=10)
CANCEL = Cancel(now=NOW, request="r-1", by="operator", actor="ada", reason="asked to")
PAUSE = Pause(now=NOW, actor="ada", reason="maintenance")
RESUME = Resume(now=NOW, actor="ada", reason="done")
ABANDON = Abandon(now=NOW, actor="ada", reason="hopeless")


class Scene:
    """An order under way, operators, and processes that follow."""

    def __init__(self, rig: Rig, saga: str) -> None:
        self.rig = rig
        self.saga = saga
        self.feed = rig.store.feed()
        self.tallies = Tallies()
        rig.broker.apply(Topology(queues=(Queue("all"),), bindings=(Binding(EVENTS, "all", "#"),)))

    def follower(self, tallies: Tallies | None, owner: str = "one") -> Follower:
        """Of a process with these tallies."""

        async def bus() -> Bus:
            return self.rig.broker.bus("orchestrator")

        catalog = Catalog(self.rig.store, self.rig.clock)
        sink = LifecycleSink(self.rig.store, catalog, bus, sagas_max=10, tallies=tallies)
        return Follower("lifecycle", sink, self.feed, self.rig.clock, SETTINGS, owner=owner)

    async def operate(self, *operations: Operation) -> None:
        """One after the other, as commands of their own."""
        for operation in operations:
            await operate(self.rig.store, self.rig.clock, self.saga, operation)


@pytest.fixture
async def scene(rig: Rig) -> Scene:
    """The first command of an order is on its way."""
    await (await rig.process()).hop(await rig.start())
    return Scene(rig, (await rig.row()).saga)


async def test_each_operation_is_counted_once(scene: Scene) -> None:
    """With what it says of the saga, and without anything that an orchestrator committed before or after."""
    follower = scene.follower(scene.tallies)
    await follower.step()
    await scene.operate(PAUSE, RESUME, CANCEL, CANCEL)
    await follower.step()
    process = await scene.rig.process()
    await process.tick()
    await scene.rig.commands("reserve-service")
    assert await follower.step() is Progress.IDLE
    verbs = {("order", verb): 1 for verb in ("pause", "resume", "cancel")}
    assert counted(scene.tallies, m.OPERATIONS) == verbs
    assert counted(scene.tallies, m.COMPENSATING) == {("order", "cancelled"): 1}
    assert counted(scene.tallies, m.STARTED) == {}
    assert counted(scene.tallies, m.ATTEMPTS) == {
        ("order", "reserve", "compensation", "reserve-service.UndoReserve.v1"): 1
    }


async def test_an_abandoned_saga_has_ended_with_its_whole_time(scene: Scene) -> None:
    """A follower that never saw its start reads it from the history."""
    scene.rig.clock.seconds += 90
    await scene.operate(ABANDON)
    await scene.follower(scene.tallies).step()
    assert counted(scene.tallies, m.ENDED) == {("order", "abandoned"): 1}
    assert counted(scene.tallies, m.DURATION) == {("order", "abandoned"): 1}
    assert counted(scene.tallies, m.OPERATIONS) == {("order", "abandon"): 1}


async def test_a_redriven_answer_is_counted(scene: Scene) -> None:
    """It goes through the journal past every orchestrator, as `saga parked redrive` does it."""
    await scene.follower(None).step()
    rig = scene.rig
    answer = await rig.reply(await rig.command())
    await rig.store.commit(Batch(parked=[wire.parked_from_delivery(answer, "unknown-saga", "no such saga")]))
    [parked] = await rig.store.parked(ParkedFilter())

    async def bus() -> Bus:
        return rig.broker.bus("orchestrator")

    await redrive(rig.store, bus, rig.clock, parked, Redriving("ada", "it was the password"))
    await scene.follower(scene.tallies).step()
    assert counted(scene.tallies, m.OPERATIONS) == {("order", "redrive"): 1}
    assert counted(scene.tallies, m.STEP_DURATION) == {("order", "reserve", "action", "ok"): 1}


async def test_what_could_not_be_told_is_counted_when_it_is(scene: Scene) -> None:
    """The broker is away for one try: the second try counts, and no third."""
    follower = scene.follower(scene.tallies)
    await scene.operate(CANCEL)
    fates = [Fate(sent=Sent("unknown", "no confirm"))]
    scene.rig.broker.fate = lambda _: fates.pop() if fates else Fate()
    with pytest.raises(Unavailable):
        await follower.step()
    assert counted(scene.tallies, m.OPERATIONS) == {}
    for _ in range(2):
        await follower.step()
    assert counted(scene.tallies, m.OPERATIONS) == {("order", "cancel"): 1}


async def test_a_cursor_that_was_not_saved_counts_nothing_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is away just then: the same commits come again, with a newer one behind them."""
    follower = scene.follower(scene.tallies)
    await scene.operate(PAUSE)
    save = scene.feed.save_cursor

    async def away(*_: object) -> bool:
        raise Unavailable("away")

    monkeypatch.setattr(scene.feed, "save_cursor", away)
    with pytest.raises(Unavailable):
        await follower.step()
    monkeypatch.setattr(scene.feed, "save_cursor", save)
    await scene.operate(RESUME)
    await follower.step()
    assert counted(scene.tallies, m.OPERATIONS) == {("order", "pause"): 1, ("order", "resume"): 1}


async def test_a_successor_counts_from_where_the_cursor_is(scene: Scene) -> None:
    """What the first process counted is on its own page."""
    first, second = scene.follower(scene.tallies), scene.follower(others := Tallies(), "two")
    await scene.operate(PAUSE)
    await first.step()
    await first.release()
    await scene.operate(RESUME)
    await second.step()
    assert counted(scene.tallies, m.OPERATIONS) == {("order", "pause"): 1}
    assert counted(others, m.OPERATIONS) == {("order", "resume"): 1}


async def test_who_keeps_no_metrics_counts_nothing(scene: Scene) -> None:
    """And delivers all the same."""
    await scene.operate(PAUSE)
    assert await scene.follower(None).step() is Progress.IDLE


@pytest.mark.parametrize(
    ("cause", "verb"),
    [
        ("operator cancel", "cancel"),
        ("operator decision approve by bo", "decision"),
        ("operator redrive by ada: reply reserve-service.ok", "redrive"),
        ("operator something new", "other"),
        ("tick", None),
        ("operators' reply", None),
        ("", None),
    ],
)
def test_a_cause_says_whose_a_commit_is(cause: str, verb: str | None) -> None:
    """By its first word; the verb is one of a closed list."""
    assert verb_of(cause) == verb
