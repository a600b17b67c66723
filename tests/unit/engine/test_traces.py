"""The sink of traces: every span once a commit closes it, the same again after a crash, and no failure without one."""

from collections.abc import Sequence

import pytest

from saga.core.events import decode
from saga.core.messages import Outcome
from saga.core.sampling import Sampling
from saga.core.spans import Span
from saga.core.spans.tracing import rebuild
from saga.engine.catalog import Catalog
from saga.engine.follow import Follower, Progress, Recorded
from saga.engine.retrace import whole_trace
from saga.engine.settings import EngineSettings, FollowSettings
from saga.engine.traces import TraceSink
from saga.ports import Unavailable
from tests.spans import attribute, nested, tree
from tests.unit.engine import family
from tests.unit.engine.family import INNER, OUTER, WAITING
from tests.unit.engine.rig import TWO_STEPS, Process, Rig

SETTINGS = FollowSettings(batch_max=2)
UNSAMPLED = EngineSettings(sampling=Sampling({"*": 0.0}))


class Shelf:
    """A backend that keeps what it is given, and is away when told to."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.away = 0
        self.rejected = 0

    async def export(self, spans: Sequence[Span]) -> None:
        """See `saga.ports.TraceBackend`."""
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        self.spans += spans

    async def close(self) -> None:
        """Nothing to close."""


class Scene:
    """Sagas that really ran, and processes that trace them."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.shelf = Shelf()

    def follower(self, owner: str = "one", sagas_max: int = 100) -> Follower:
        """One process."""
        return Follower("traces", self.sink(sagas_max), self.rig.store.feed(), self.rig.clock, SETTINGS, owner=owner)

    def sink(self, sagas_max: int = 100) -> TraceSink:
        """A sink that knows nothing yet."""
        catalog = Catalog(self.rig.store, self.rig.clock)
        return TraceSink(self.rig.store, catalog, self.shelf, texts=False, sagas_max=sagas_max)

    async def expected(self) -> list[Span]:
        """Every span of every saga in the store, rebuilt."""
        spans: list[Span] = []
        for row in await self.rig.rows():
            tail = (await self.rig.store.load({row.saga: 0}))[row.saga]
            spans += rebuild(TWO_STEPS, [decode(data) for data in tail.commits])
        return spans


async def follow(follower: Follower) -> None:
    """Steps until there is nothing more to do."""
    while await follower.step() is Progress.MORE:
        pass


async def run(rig: Rig, process: Process, order: str, *, fails: bool = False) -> None:
    """One saga to its end: two steps, or the second one refused and the first undone."""
    await process.hop(await rig.start(order))
    await process.hop(await rig.reply(await rig.command("reserve-service")))
    charge = await rig.command("charge-service")
    await process.hop(await rig.reply(charge, Outcome.FAILED if fails else Outcome.OK))
    if fails:
        await process.hop(await rig.reply(await rig.command("reserve-service")))


@pytest.fixture
def scene() -> Scene:
    """Nothing has run yet."""
    return Scene(Rig(TWO_STEPS))


async def test_a_saga_is_exported_as_it_goes(scene: Scene) -> None:
    """The anchor at once, each step when it is over, the saga at its end; together what a rebuild gives."""
    process, follower = await scene.rig.process(), scene.follower()
    await process.hop(await scene.rig.start())
    await follow(follower)
    assert [span.name for span in scene.shelf.spans] == ["order started"]
    await process.hop(await scene.rig.reply(await scene.rig.command("reserve-service")))
    await follow(follower)
    assert [span.name for span in scene.shelf.spans][-1] == "reserve"
    await process.hop(await scene.rig.reply(await scene.rig.command("charge-service")))
    await follow(follower)
    assert scene.shelf.spans == await scene.expected()
    nested(tree(scene.shelf.spans))


async def test_a_process_that_dies_at_any_commit_is_replaced(scene: Scene) -> None:
    """Each commit by a process that knows nothing of what was before it: no span is lost, and none differs."""
    process = await scene.rig.process()
    for order in ("o1", "o2"):
        await run(scene.rig, process, order, fails=order == "o2")
    rows = (await scene.rig.store.feed().read_after("", 100)).rows
    for row in rows:
        commit = Recorded(row.saga, row.version, row.cause, row.at, decode(row.data))
        await scene.sink().deliver([commit])
        await scene.sink().deliver([commit])
    expected = await scene.expected()
    assert set(scene.shelf.spans) == set(expected)
    assert len(scene.shelf.spans) == 2 * len(expected)


async def test_a_backend_that_is_away_gets_everything_later(scene: Scene) -> None:
    """The cursor waits; nothing is taken as exported that was not."""
    process, follower = await scene.rig.process(), scene.follower()
    await process.hop(await scene.rig.start())
    scene.shelf.away = 3
    for _ in range(3):
        with pytest.raises(Unavailable):
            await follower.step()
    await process.hop(await scene.rig.reply(await scene.rig.command("reserve-service")))
    await process.hop(await scene.rig.reply(await scene.rig.command("charge-service")))
    await follow(follower)
    assert scene.shelf.spans == await scene.expected()


async def test_nothing_is_kept_for_a_backend_that_is_away(scene: Scene) -> None:
    """However much happens meanwhile: the history is the buffer, and the process holds no book and no span of it."""
    process, sink = await scene.rig.process(), scene.sink()
    follower = Follower("traces", sink, scene.rig.store.feed(), scene.rig.clock, SETTINGS, owner="one")
    scene.shelf.away = 10
    for number in range(scene.shelf.away):
        await run(scene.rig, process, f"o{number}", fails=number % 2 == 1)
        with pytest.raises(Unavailable):
            await follower.step()
        assert not sink._books
    await follow(follower)
    assert set(scene.shelf.spans) == set(await scene.expected())
    assert len(scene.shelf.spans) == len(set(scene.shelf.spans))
    assert not sink._books


async def test_books_are_bounded(scene: Scene) -> None:
    """A saga whose book was closed for want of room is read again."""
    process, follower = await scene.rig.process(), scene.follower(sagas_max=1)
    for order in ("o1", "o2", "o3"):
        await process.hop(await scene.rig.start(order))
        await follow(follower)
    for command in await scene.rig.commands("reserve-service"):
        await process.hop(await scene.rig.reply(command))
        await follow(follower)
    assert {span.id for span in scene.shelf.spans} == {span.id for span in await scene.expected()}


async def test_an_unsampled_saga_stays_out(scene: Scene) -> None:
    """Nobody asked for it and nothing went wrong."""
    scene.rig.settings = UNSAMPLED
    await run(scene.rig, await scene.rig.process(), "o1")
    await follow(scene.follower())
    assert scene.shelf.spans == []


async def test_an_unsampled_saga_that_fails_is_rebuilt(scene: Scene) -> None:
    """Whole, from its beginning, marked as such; and from then on as it goes."""
    scene.rig.settings = UNSAMPLED
    await run(scene.rig, await scene.rig.process(), "o1", fails=True)
    await follow(scene.follower())
    assert set(scene.shelf.spans) == set(await scene.expected())
    assert all(attribute(span, "saga.rebuilt") is True for span in scene.shelf.spans)
    tree(scene.shelf.spans)


async def test_a_child_is_below_the_attempt_that_asked_for_it() -> None:
    """One trace, one root; exported as it goes, and rebuilt whole whichever of the two is named."""
    scene = Scene(Rig(OUTER, INNER, WAITING))
    process, follower = await scene.rig.process(), scene.follower()
    await family.started(scene.rig, process)
    await family.to_engine(scene.rig, process)
    await process.hop(await scene.rig.reply(await scene.rig.command()))
    await family.to_parent(scene.rig, process)
    await process.hop(await scene.rig.reply(await scene.rig.command("charge-service")))
    await follow(follower)
    found = tree(scene.shelf.spans)
    nested(found, foreign=frozenset({"inner started"}))
    (attempt,) = found.find("send saga.commands:saga.inner.v1")
    assert [child.span.name for child in attempt.children if child.span.name.endswith("started")] == ["inner started"]
    assert len(found.find("inner")) == 1
    for row in await scene.rig.rows():
        whole = await whole_trace(scene.rig.store, scene.rig.clock, row.saga)
        assert set(whole or ()) == set(scene.shelf.spans)


async def test_one_bad_history_does_not_stop_the_others(scene: Scene) -> None:
    """Its definition is gone: the rest is traced."""
    process = await scene.rig.process()
    await process.hop(await scene.rig.start())
    page = await scene.rig.store.feed().read_after("", 100)
    row = page.rows[0]
    good = Recorded(row.saga, row.version, row.cause, row.at, decode(row.data))
    bad = Recorded("01930000-0000-7000-8000-00000000beef", 3, "", row.at, ())
    await scene.sink().deliver([bad, good])
    assert [span.name for span in scene.shelf.spans] == ["order started"]
