"""Telling the world: what committed events tell is published once confirmed, in order, and again after a failure."""

from collections.abc import Sequence

import msgspec
import pytest

from saga.adapters.memory.bus import Fate
from saga.core import events
from saga.core.limits import HEADERS_BYTES_MAX
from saga.core.messages import Outcome
from saga.core.topology import EVENTS, Binding, Queue, Topology
from saga.engine.catalog import Catalog
from saga.engine.follow import Recorded
from saga.engine.lifecycle import LifecycleSink
from saga.ports import Bus, Delivery, Outgoing, Sent, Unavailable
from saga.wire import LifecycleBody
from tests.unit.engine.rig import Process, Rig

QUEUE = "saga.events.shop.all"


class Scene:
    """An orchestrator, a subscriber to everything, and a sink between the history and it."""

    def __init__(self, rig: Rig, process: Process) -> None:
        self.rig = rig
        self.process = process
        self.opened = 0
        self.position = ""
        rig.broker.apply(Topology(queues=(Queue(QUEUE),), bindings=(Binding(EVENTS, QUEUE, "#"),)))

    def sink(self, sagas_max: int = 100) -> LifecycleSink:
        """One of a process that has just begun."""
        return LifecycleSink(self.rig.store, Catalog(self.rig.store, self.rig.clock), self.open, sagas_max=sagas_max)

    async def open(self) -> Bus:
        """The sink's own bus."""
        self.opened += 1
        return self.rig.broker.bus("orchestrator")

    async def new(self) -> list[Recorded]:
        """What was committed since the last look."""
        page = await self.rig.store.feed().read_after(self.position, 1_000)
        self.position = page.position
        return [Recorded(row.saga, row.version, row.cause, row.at, events.decode(row.data)) for row in page.rows]

    async def told(self) -> list[Delivery]:
        """What the subscriber heard since the last look."""
        return await self.rig.take(QUEUE, self.rig.broker.ready_count(QUEUE))

    async def run(self, order: str, *, fails: bool = False) -> None:
        """A whole saga."""
        await self.process.hop(await self.rig.start(order))
        await self.process.hop(await self.rig.reply(await self.rig.command()))
        charge = await self.rig.command("charge-service")
        await self.process.hop(await self.rig.reply(charge, Outcome.FAILED if fails else Outcome.OK))
        if fails:
            await self.process.hop(await self.rig.reply(await self.rig.command()))


@pytest.fixture
async def scene(rig: Rig) -> Scene:
    """Nothing has happened."""
    return Scene(rig, await rig.process())


def keys(deliveries: Sequence[Delivery]) -> list[str]:
    """Routing keys."""
    return [delivery.routing_key for delivery in deliveries]


async def test_a_saga_is_told_from_its_start_to_its_end(scene: Scene) -> None:
    """With the id of its commit, the saga as correlation, and a body of the documented form."""
    await scene.run("o1")
    await scene.sink().deliver(await scene.new())
    started, ended = await scene.told()
    row = await scene.rig.row()
    assert (started.routing_key, ended.routing_key) == ("order.started", "order.ended")
    assert (started.message_id, ended.message_id) == (f"{row.saga}:1", f"{row.saga}:3")
    assert {started.correlation_id, ended.correlation_id} == {row.saga}
    assert {started.type, ended.type} == {"saga.lifecycle.v1"}
    assert ended.headers == {"saga-name": "order", "saga-version": "1", "saga-key": "o1"}
    body = msgspec.json.decode(ended.body, type=LifecycleBody)
    assert (body.saga, body.key, body.version, body.status) == (row.saga, "o1", 3, "completed")
    assert "output" not in msgspec.json.decode(ended.body)


async def test_commit_by_commit_it_tells_the_same(scene: Scene) -> None:
    """Whether the follower keeps up or reads everything afterwards, with room for its states or with none."""
    one_by_one, forgetful = scene.sink(), scene.sink(sagas_max=0)
    for order, fails in (("o1", True), ("o2", False)):
        await scene.run(order, fails=fails)
    commits = await scene.new()
    for sink in (one_by_one, forgetful):
        for commit in commits:
            await sink.deliver([commit])
    alone = [delivery.message_id for delivery in await scene.told()]
    await scene.sink().deliver(commits)
    together = [delivery.message_id for delivery in await scene.told()]
    assert alone == alone[: len(alone) // 2] * 2
    assert sorted(together) == sorted(alone[: len(alone) // 2])


async def test_a_successor_reads_what_was_before(scene: Scene) -> None:
    """It knows no state: the history up to the commit before has it, and nothing of what came later."""
    await scene.process.hop(await scene.rig.start())
    await scene.sink().deliver(await scene.new())
    await scene.process.hop(await scene.rig.reply(await scene.rig.command()))
    reply = await scene.rig.reply(await scene.rig.command("charge-service"), Outcome.FAILED)
    await scene.process.hop(reply)
    commits = await scene.new()
    await scene.process.hop(await scene.rig.reply(await scene.rig.command()))
    await scene.sink().deliver(commits)
    assert keys(await scene.told()) == ["order.started", "order.compensating"]


async def test_what_was_not_confirmed_comes_again_with_the_same_ids(scene: Scene) -> None:
    """The broker loses one confirm: nothing counts as told, and the second try tells the same."""
    sink = scene.sink()
    await scene.run("o1")
    commits = await scene.new()
    fates = [Fate(), Fate(sent=Sent("unknown", "no confirm"))]
    scene.rig.broker.fate = lambda message: fates.pop(0) if message.exchange == EVENTS and fates else Fate()
    with pytest.raises(Unavailable, match="no confirm"):
        await sink.deliver(commits)
    first = await scene.told()
    await sink.deliver(commits)
    again = await scene.told()
    assert [each.message_id for each in again] == [each.message_id for each in first]
    assert [each.body for each in again] == [each.body for each in first]


async def test_nothing_is_published_before_what_it_follows(scene: Scene) -> None:
    """A saga's first event is lost: its second is not even tried, while other sagas' first ones go out with it."""
    for order in ("o1", "o2"):
        await scene.run(order)
    commits = await scene.new()
    lost = Fate(copies=0, sent=Sent("unknown", "lost"))
    scene.rig.broker.fate = lambda message: lost if message.message_id == f"{commits[0].saga}:1" else Fate()
    with pytest.raises(Unavailable):
        await scene.sink().deliver(commits)
    assert keys(await scene.told()) == ["order.started"]


async def test_commits_that_tell_nothing_open_no_bus(scene: Scene) -> None:
    """Nor does a process that stands by hold a connection."""
    sink = scene.sink()
    await scene.process.hop(await scene.rig.start())
    start = await scene.new()
    await scene.process.hop(await scene.rig.reply(await scene.rig.command()))
    await scene.sink().deliver(start)
    opened = scene.opened
    await sink.deliver(await scene.new())
    await sink.close()
    assert scene.opened == opened == 1


async def test_a_damaged_history_does_not_stop_the_others(scene: Scene) -> None:
    """A commit whose predecessors are missing tells nothing; the other saga of the batch is told."""
    await scene.run("o1")
    commits = await scene.new()
    stranger = msgspec.structs.replace(commits[1], saga="01930000-0000-7000-8000-00000000ffff")
    await scene.sink().deliver([stranger, *commits])
    assert keys(await scene.told()) == ["order.started", "order.ended"]


async def test_what_can_never_be_sent_does_not_stop_the_others(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Its headers are larger than any bus takes: it is said once and passed over."""
    for order in ("o1", "o2"):
        await scene.process.hop(await scene.rig.start(order))
    first, second = await scene.new()
    [started] = [each for each in first.events if isinstance(each, events.SagaStarted)]
    large = msgspec.structs.replace(started, start_key="k:" + "x" * HEADERS_BYTES_MAX)
    await scene.sink().deliver([msgspec.structs.replace(first, events=(large, *first.events[1:])), second])
    [told] = await scene.told()
    assert told.headers["saga-key"] == "o2"
    [line] = caplog.records
    assert (line.message, vars(line)["saga_id"]) == ("a lifecycle event can never be sent", first.saga)


async def test_an_unusable_broker_is_an_error_of_the_sink(scene: Scene) -> None:
    """An exchange that is not there is said, and tried again later."""
    await scene.run("o1")
    scene.rig.broker.wipe()
    with pytest.raises(Unavailable, match="topology apply"):
        await scene.sink().deliver(await scene.new())


async def test_the_same_event_is_the_same_message(scene: Scene) -> None:
    """Byte for byte: a subscriber may compare."""
    await scene.run("o1", fails=True)
    commits = await scene.new()
    published: list[list[Outgoing]] = []

    class Listening:
        async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
            published[-1].extend(messages)
            return [Sent("confirmed")] * len(messages)

    async def listening() -> Bus:
        return Listening()  # type: ignore[return-value]  # a sink only publishes

    catalog = Catalog(scene.rig.store, scene.rig.clock)
    for _ in range(2):
        published.append([])
        await LifecycleSink(scene.rig.store, catalog, listening, sagas_max=10).deliver(commits)
    assert published[0] == published[1]
    assert not any(message.mandatory for message in published[0])
