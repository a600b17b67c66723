"""What no parent may ask of the engine, and what it is told when there can be no child."""

from typing import Any

import msgspec
import pytest

from saga import wire
from saga.adapters.memory.bus import Fate
from saga.core import bounds
from saga.core.definition import canonical, content_hash, decode
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.core.plan import Plan, plan_of
from saga.engine.children import genuine, objection
from saga.engine.lookup import read_live
from saga.ports import Outgoing, Sent
from tests.builders import plan, step
from tests.unit.engine.family import CHILDREN, INNER, OUTER, asking, row, started, to_engine, to_parent
from tests.unit.engine.living import QUICK, running, send_starts, until
from tests.unit.engine.rig import Rig


@pytest.fixture
def rig() -> Rig:
    """A saga that runs another one, then charges."""
    return Rig(OUTER, INNER)


async def test_a_definition_that_is_not_published_is_waited_for() -> None:
    """Not a failure: the parent asks again until somebody publishes it."""
    rig = Rig(plan(asking("access", version=2), name="order"), INNER)
    process = await rig.process()
    await started(rig, process)
    hop = await process.hop(*await rig.take(CHILDREN, 1))
    [(reply, _)] = hop.turned_away
    assert (reply.code, reply.message) == ("unknown-command", "inner v2 is not published")
    assert len(hop.done) == 1
    await to_parent(rig, process)
    assert (await row(rig, "order")).wait_text.endswith("follows after unknown-command: inner v2 is not published")
    await rig.publish(version_2())
    rig.clock.seconds += 10
    await process.tick()
    await to_engine(rig, process)
    assert (await row(rig, "inner")).definition_version == 2


def version_2() -> Plan:
    """Of the inner saga."""
    data = canonical(msgspec.structs.replace(INNER.definition, version=2))
    return plan_of(decode(data), content_hash(data))


async def test_an_answer_that_was_not_confirmed_keeps_the_command(rig: Rig) -> None:
    """Turned away, and the broker does not take the answer: the command is not acknowledged and is tried again."""
    rig = Rig(plan(asking("access", "nowhere"), name="order"))
    process = await rig.process()
    await started(rig, process)
    [command] = await rig.take(CHILDREN, 1)
    hop = await process.handle(command)
    rig.broker.wipe()
    done, again = await process.dispatches.refuse(hop.turned_away)
    assert (done, len(again)) == ([], 1)
    rig.declare()
    done, again = await process.dispatches.refuse((await process.handle(*again)).turned_away)
    assert (done, again) == ([command], [])


@pytest.mark.parametrize(
    ("limit", "says"), [("CHILDREN_MAX", "has 0 sub-sagas, at most 0"), ("CHILD_DEPTH_MAX", "1 deep, at most 0")]
)
async def test_children_are_limited(rig: Rig, monkeypatch: pytest.MonkeyPatch, limit: str, says: str) -> None:
    """In number below a root, and in depth: the parent parks with the reason."""
    monkeypatch.setattr("saga.engine.children." + limit, 0)
    assert getattr(bounds, limit) > 0
    process = await rig.process()
    await started(rig, process)
    await to_engine(rig, process)
    await to_parent(rig, process)
    parked = await row(rig, "order")
    assert parked.status == "parked"
    assert says in parked.wait_text


async def test_the_last_child_that_may_begin_and_the_first_that_may_not(rig: Rig) -> None:
    """The edges of both limits; what is to be undone is never refused for them."""
    process = await rig.process()
    await started(rig, process)
    [delivery] = await rig.take(CHILDREN, 1)
    command, saga = wire.command_from_wire(delivery), (await row(rig, "order")).saga
    live = await read_live(rig.store, rig.clock, saga)
    assert live is not None

    def refused(depth: int, below_root: int, **changes: Any) -> str:
        state = msgspec.structs.replace(live.state, depth=depth)
        asked = genuine(command, msgspec.structs.replace(live, state=state))
        asked = msgspec.structs.replace(asked, command=msgspec.structs.replace(command, **changes))
        refusal = objection(asked, below_root)
        return "" if refusal is None else refusal.text

    assert refused(bounds.CHILD_DEPTH_MAX - 1, bounds.CHILDREN_MAX - 1) == ""
    assert refused(bounds.CHILD_DEPTH_MAX, 0) == "it would be sub-saga 9 deep, at most 8"
    assert refused(0, bounds.CHILDREN_MAX) == f"{saga} has 1000 sub-sagas, at most 1000"
    undo = {"kind": Kind.COMPENSATION, "undoes": command.key, "undoes_outcome": "unknown"}
    assert refused(bounds.CHILD_DEPTH_MAX, bounds.CHILDREN_MAX, **undo) == ""


async def test_an_input_that_the_child_cannot_run_on_parks_the_parent() -> None:
    """With the field that is missing."""
    rig = Rig(OUTER, plan(step("reserve"), name="inner", reads={"input.colour": "str"}))
    process = await rig.process()
    await started(rig, process)
    await to_engine(rig, process)
    await to_parent(rig, process)
    assert "reads-mismatch: the saga cannot run on this input: " in (await row(rig, "order")).wait_text


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b'{"id":"o2"}'},
        {"execution": 2},
        {"attempt": 2},
        {"path": "charge"},
        {"path": "nowhere"},
        {"key": "0" * 32},
        {"command": "order"},
    ],
)
async def test_a_command_that_no_parent_issued_is_parked(rig: Rig, changes: dict[str, Any]) -> None:
    """Whoever could write to the queue could only repeat what a parent's history says."""
    process = await rig.process()
    await started(rig, process)
    [delivery] = await rig.take(CHILDREN, 1)
    forged = msgspec.structs.replace(wire.command_from_wire(delivery), **changes)
    await process.hop(*await rig.arrive(CHILDREN, wire.command_to_wire(forged), sender="orchestrator"))
    assert [each.reason for each in await rig.parked()] == ["unknown-execution"]
    assert len(await rig.rows()) == 1


async def test_only_the_engine_answers_for_a_child(rig: Rig) -> None:
    """A reply under another user is parked, whatever it says."""
    process = await rig.process()
    await started(rig, process)
    command = wire.command_from_wire(*await rig.take(CHILDREN, 1))
    answer = wire.answer(command, Outcome.OK, effect=ReplyEffect.APPLIED)
    forged = wire.reply_to_wire(msgspec.structs.replace(answer, type="saga.ended.v1", body=b"{}"))
    await process.hop(*await rig.arrive("saga.replies", forged, sender="charge-service"))
    assert [each.reason for each in await rig.parked()] == ["forged-sender"]


async def test_nobody_takes_the_key_of_a_child(rig: Rig) -> None:
    """A caller who starts the inner saga under the same key has another saga."""
    process = await rig.process()
    await started(rig, process)
    [command] = await rig.take(CHILDREN, 1)
    key = wire.command_from_wire(command).key
    await process.hop(await rig.start("mine", name="inner", start_key=f"k:{key}"))
    await process.hop(command)
    assert len(await rig.rows()) == 3


async def test_a_process_answers_what_it_turns_away_and_then_acknowledges(rig: Rig) -> None:
    """With all its loops: the command leaves its queue only when the refusal is on the broker, which is away at
    first."""
    rig = Rig(plan(asking("access", "nowhere"), name="order"))
    refusals = 0

    def fate(message: Outgoing) -> Fate:
        nonlocal refusals
        refusals += message.exchange == "saga.replies"
        return Fate(copies=0, sent=Sent("unknown")) if message.exchange == "saga.replies" and refusals < 3 else Fate()

    rig.broker.fate = fate
    async with running(rig, msgspec.structs.replace(QUICK, recall_interval_seconds=0.001)) as engine:
        await send_starts(rig, "o1")
        await until(lambda: refusals == 3)
        await until(lambda: rig.store._table.records and engine._backlog.in_flight == 0)
        await until(lambda: "unknown-command" in next(iter(rig.store._table.records.values())).view.wait_text)
    assert rig.broker.ready_count(CHILDREN) == 0
