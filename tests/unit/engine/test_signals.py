"""Signals: counted once, answered where somebody listens, kept where nobody does, held when they come too early."""

from typing import Any

import msgspec
import pytest

from saga import wire
from saga.core.definition import Await
from saga.core.expression import Compare, Ref, ScalarType
from saga.core.messages import SignalMessage
from saga.engine.redrive import NoWayBack, Redriving, redrive
from saga.engine.settings import EngineSettings
from saga.ports import Delivery, ParkedFilter
from tests.builders import INPUT_ID, plan, step
from tests.unit.engine.rig import CALLER, CLIENT, TRUST, Process, Rig, heard

ADDRESS = f"{CALLER}.{CLIENT}"
PAID = plan(
    Await(
        path="paid",
        signal="paid",
        where=Compare("eq", ScalarType.STR, Ref("signal", ("by",), ScalarType.STR), INPUT_ID),
    ),
    step("reserve"),
    reads={"input.id": "str", "paid.by": "str"},
)
BODY = b'{"by":"o1"}'
"""Fits the wait of order o1."""

TWO_NAMES = plan(Await(path="paid", signal="paid"), name="letter")


@pytest.fixture
def rig() -> Rig:
    """A saga that waits for a signal."""
    return Rig(PAID, TWO_NAMES, settings=EngineSettings(trust=TRUST, held_max=2))


async def signal(rig: Rig, saga: str | None = None, *, sender: str = CALLER, **fields: Any) -> Delivery:
    """Somebody says that it was paid."""
    given = {
        "name": "order",
        "business_key": None,
        "signal": "paid",
        "body": BODY,
        "message_id": "s-1",
        "reply_to": ADDRESS,
    }
    message = SignalMessage(**{**given, "saga": saga, **fields})
    [delivery] = await rig.arrive("saga.signals", wire.signal_to_wire(message), sender=sender)
    return delivery


async def started(rig: Rig, process: Process, name: str = "order", **fields: Any) -> str:
    """One saga; its id."""
    await process.hop(await rig.start(name=name, **fields))
    return (await rig.row()).saga


async def recorded(rig: Rig, saga: str, event: str) -> list[dict[str, Any]]:
    """Events of one kind."""
    rows = await rig.store.history(saga)
    return [each for row in rows for each in msgspec.json.decode(row.data) if each["event"] == event]


async def test_a_signal_ends_the_wait_it_is_for(rig: Rig) -> None:
    """By id; who sent it is recorded, and the person only where a gateway vouches."""
    process = await rig.process()
    saga = await started(rig, process)
    assert (await rig.row()).wait_kind == "signal"
    hop = await process.hop(await signal(rig, saga, actor="ada"))
    assert heard(hop) == ["accepted"]
    assert hop.answers[0].saga == saga
    assert (await rig.command()).body == b'{"order":"o1"}'
    [received] = await recorded(rig, saga, "SignalReceived")
    assert (received["by"], received.get("actor")) == (CALLER, None)


async def test_a_signal_by_business_key(rig: Rig) -> None:
    """Name and key, as a start names them."""
    process = await rig.process()
    await process.hop(await rig.start(start_key="k:o1"))
    assert heard(await process.hop(await signal(rig, business_key="o1"))) == ["accepted"]
    await rig.command()


async def test_a_signal_counts_once(rig: Rig) -> None:
    """Redelivered, or sent again under the same id."""
    process = await rig.process()
    saga = await started(rig, process)
    await process.hop(await signal(rig, saga))
    hop = await process.hop(await signal(rig, saga))
    assert heard(hop) == ["accepted existing"]
    assert len(hop.done) == 1
    assert len(await recorded(rig, saga, "SignalReceived")) == 1


async def test_a_signal_in_one_batch_with_its_start(rig: Rig) -> None:
    """They travel through different queues: neither is lost, whichever comes first."""
    process = await rig.process()
    hop = await process.hop(await signal(rig, business_key="o1"), await rig.start(start_key="k:o1"))
    assert heard(hop) == ["accepted"]
    assert (await rig.row()).wait_kind == "signal"
    assert len(hop.early) == 1
    hop = await process.hop(*hop.early)
    assert heard(hop) == ["accepted"]
    await rig.command()


@pytest.mark.parametrize("fields", [{"business_key": "o1"}, {"saga": "01930000-0000-7000-8000-00000000ffff"}])
async def test_a_signal_without_a_saga_is_held_for_a_while(rig: Rig, fields: dict[str, str]) -> None:
    """Unacknowledged; then it is parked, and its sender told."""
    process = await rig.process()
    hop = await process.hop(await signal(rig, **fields))
    assert (hop.done, hop.answers, len(hop.early)) == ([], [], 1)
    rig.clock.seconds += 9
    hop = await process.hop(*hop.early)
    assert len(hop.early) == 1
    rig.clock.seconds += 1
    hop = await process.hop(*hop.early)
    assert heard(hop) == ["refused unknown-saga"]
    assert len(hop.done) == 1
    assert [each.reason for each in await rig.parked()] == ["unknown-saga"]


async def test_only_so_many_signals_are_held(rig: Rig) -> None:
    """Those that waited longest give way: they are parked, and nobody else waits behind them."""
    process = await rig.process()
    works = [await signal(rig, business_key="nobody", message_id=f"s-{number}") for number in range(3)]
    process.backlog.hold((await process.handle(*works)).early)
    hop = await process.handle(*process.backlog.next_batch())
    assert [each.message_id for each in await rig.parked()] == ["s-0"]
    assert len(hop.done) == 1
    assert process.backlog.next_batch() == []
    process.backlog.recall()
    assert len(process.backlog.next_batch()) == 2


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"signal": "payed"}, "unknown-signal", "order waits for no signal 'payed'; its signals: paid"),
        ({"body": b'{"by":7}'}, "reads-mismatch", "by"),
    ],
)
async def test_a_signal_that_does_not_count(rig: Rig, fields: dict[str, Any], code: str, says: str) -> None:
    """Whoever listens is told why; what nobody hears of is parked."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await signal(rig, saga, **fields))
    assert heard(hop) == [f"refused {code}"]
    assert says in hop.answers[0].reason
    assert await rig.parked() == []
    hop = await process.hop(await signal(rig, saga, reply_to="", **fields))
    assert heard(hop) == []
    assert [each.reason for each in await rig.parked()] == [code]
    assert len(hop.done) == 1


async def test_a_signal_is_for_the_saga_its_routing_key_names(rig: Rig) -> None:
    """The broker checked that key against the sender's rights: another saga's id does not get around it."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await signal(rig, saga, name="letter"))
    assert heard(hop) == ["refused header-disagrees-with-routing-key"]
    assert await recorded(rig, saga, "SignalReceived") == []


async def test_a_signal_to_what_has_ended(rig: Rig) -> None:
    """Nothing waits for it any more."""
    process = await rig.process()
    saga = await started(rig, process)
    await process.hop(await signal(rig, saga))
    await process.hop(await rig.reply(await rig.command()))
    assert heard(await process.hop(await signal(rig, saga, message_id="s-2"))) == ["refused ended"]


async def test_a_parked_signal_finds_its_saga_later(rig: Rig) -> None:
    """Put back by an operator it counts as if it had just come, once; what does not count stays where it is."""
    process = await rig.process()
    held = (await process.handle(await signal(rig, business_key="o1"))).early
    rig.clock.seconds += 10
    await process.hop(*held)
    [row] = await rig.store.parked()

    async def no_bus() -> Any:
        raise AssertionError("it goes into the journal")

    wish = Redriving("ann", "started late")
    with pytest.raises(NoWayBack, match="not in this store"):
        await redrive(rig.store, no_bus, rig.clock, row, wish)
    await process.hop(await rig.start(start_key="k:o1"))
    await redrive(rig.store, no_bus, rig.clock, row, wish)
    [received] = await recorded(rig, (await rig.row()).saga, "SignalReceived")
    assert received["by"] == CALLER
    [row] = await rig.store.parked(ParkedFilter(settled=True))
    assert row.settled == "redriven"
