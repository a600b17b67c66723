"""One saga, for people."""

from decimal import Decimal

import msgspec
import pytest

from saga import wire
from saga.core.blocks import Each
from saga.core.expression import Literal
from saga.core.inputs import Abandon, Pause
from saga.core.messages import Outcome, ReplyEffect
from saga.engine.examine import examine_sagas
from saga.engine.lookup import describe, needed_below
from saga.engine.operate import operate
from tests.builders import plan, raw, reply, step, template
from tests.unit.engine.family import DAYS, INNER, asking, row, to_engine
from tests.unit.engine.rig import Rig


async def test_a_saga_that_does_not_exist_is_none(rig: Rig) -> None:
    """Nor what is no id at all."""
    assert await describe(rig.store, rig.clock, "01930000-0000-7000-8000-00000000ffff") is None
    assert await describe(rig.store, rig.clock, "order") is None


async def test_every_step_and_every_reason(rig: Rig) -> None:
    """What is done, what is open, what it waits for; the same words as the list."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    row = await rig.row()
    detail = await describe(rig.store, rig.clock, row.saga)
    assert detail is not None
    assert (detail.key, detail.name, detail.status, detail.version) == ("o1", "order", "running", 2)
    assert [(step.path, step.state) for step in detail.steps] == [("reserve", "ok"), ("charge", "open")]
    assert [wait.text for wait in detail.waits] == [row.wait_text]
    assert detail.steps[0].action.effect == "applied"


async def test_compensation_shows_what_is_being_undone(rig: Rig) -> None:
    """The declined step failed, the one before it is being undone; then it is undone."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(await rig.reply(await rig.command("charge-service"), Outcome.FAILED))
    saga = (await rig.row()).saga
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert [(step.path, step.state) for step in detail.steps] == [("reserve", "undoing"), ("charge", "failed")]
    await process.hop(await rig.reply(await rig.command()))
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert detail.steps[0].state == "undone"
    assert detail.steps[0].undo is not None
    assert (detail.phase, detail.waits) == ("compensated", ())
    assert "Declined" in detail.because


async def test_the_output_and_the_pause_are_shown(rig: Rig) -> None:
    """As stable JSON."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    await operate(rig.store, rig.clock, saga, Pause(now=rig.clock.now(), actor="ada", reason="r"))
    paused = await describe(rig.store, rig.clock, saga)
    assert paused is not None
    assert paused.paused
    await process.hop(await rig.reply(await rig.command()))
    assert msgspec.json.decode(msgspec.json.encode(paused))["waits"][0]["kind"] == "paused"


async def test_a_wait_repeats_what_the_participant_said(rig: Rig) -> None:
    """The word and its own words: what to mend stands in them."""
    process = await rig.process()
    await process.hop(await rig.start())
    said = {"code": "unknown-command", "message": "this one has no handler for it"}
    await process.hop(await rig.reply(await rig.command(), Outcome.REFUSED, **said))
    detail = await describe(rig.store, rig.clock, (await rig.row()).saga)
    assert detail is not None
    [wait] = detail.waits
    assert (wait.kind, wait.code) == ("timer", "unknown-command")
    assert "attempt 2 follows after unknown-command: this one has no handler for it" in wait.text


async def test_an_answer_nobody_believed_is_shown_with_its_saga(rig: Rig) -> None:
    """Else the saga would seem to wait for nothing. Once it has ended, nobody asks any more."""
    process = await rig.process()
    await process.hop(await rig.start())
    command = await rig.command()
    answer = wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED))
    for _ in range(2):
        await process.hop(*await rig.arrive("saga.replies", answer, sender="guest"))
    saga = (await rig.row()).saga
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    [note] = detail.parked_messages
    assert note.reason == "forged-sender"
    assert "this came from guest" in note.detail
    await operate(rig.store, rig.clock, saga, Abandon(now=rig.clock.now(), actor="ada", reason="r"))
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert detail.parked_messages == ()


async def test_every_item_is_listed_and_what_was_not_begun(rig: Rig) -> None:
    """Item by item as written, by their places in this run; a step that no item reached is named beside them."""
    command = template("reserve-service", "Seat")
    add, tell = (step(f"seats/{name}", command=command) for name in ("add", "tell"))
    seats = Each(path="seats", items=Literal(raw('["a","b","c"]')), limit=3, window=2, body=(add, tell))
    await rig.publish(plan(seats, step("charge"), name="seating"))
    process = await rig.process()
    await process.hop(await rig.start(name="seating"))
    saga = (await rig.row()).saga
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert [step.path for step in detail.steps] == ["seats[0]/add", "seats[1]/add"]
    assert detail.not_begun == ("seats/tell", "charge")
    first, second = await rig.commands("reserve-service")
    await process.hop(await rig.reply(second))
    await process.hop(await rig.reply(first))
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert [(step.path, step.state) for step in detail.steps] == [
        ("seats[0]/add", "ok"),
        ("seats[0]/tell", "open"),
        ("seats[1]/add", "ok"),
        ("seats[1]/tell", "open"),
    ]
    assert detail.not_begun == ("charge",)


async def test_what_below_a_root_stands_in_front_of_a_person_is_told_by_its_path() -> None:
    """The root itself only waits for its child: the list says where somebody is needed, the detail what is parked."""
    middle = plan(asking("account", "inner"), name="middle", deadline=DAYS)
    rig = Rig(plan(asking("access", "middle"), name="top", deadline=DAYS), middle, INNER)
    process = await rig.process()
    await process.hop(await rig.start(name="top"))
    for _ in range(2):
        await to_engine(rig, process)
    top, inner = await row(rig, "top"), await row(rig, "inner")
    assert await needed_below(rig.store, rig.clock, top) == ""
    asked = await rig.command()
    await process.hop(await rig.reply(asked, Outcome.REFUSED, code="in-doubt", effect=ReplyEffect.NONE))
    needed = await needed_below(rig.store, rig.clock, top)
    assert needed.startswith("access/account parked: in-doubt: ")
    assert await needed_below(rig.store, rig.clock, await row(rig, "inner")) == ""
    detail = await describe(rig.store, rig.clock, top.saga)
    assert detail is not None
    assert [(child.place, child.parked) for child in detail.children] == [
        ("access", ()),
        ("access/account", ("reserve",)),
    ]
    (finding,) = [each for each in await examine_sagas(rig.store, rig.clock) if "in-doubt" in each.what]
    assert finding.what.endswith(f"the oldest is {inner.saga}, a sub-saga of {top.saga}")
    assert f"saga resolve {inner.saga} reserve retry" in finding.fix


async def test_what_a_saga_cost_and_what_is_below_it() -> None:
    """Each saga has its own sum; one with sub-sagas has theirs beside it, and says what is in neither."""
    rig = Rig(plan(step("reserve"), asking("access", "inner"), name="top", deadline=DAYS), INNER)
    process = await rig.process()
    await process.hop(await rig.start(name="top"))
    cent, dear = {"USD": Decimal("0.01")}, {"USD": Decimal("0.3"), "tokens": Decimal(7)}
    await process.hop(await rig.reply(await rig.command(), cost=cent))
    await to_engine(rig, process)
    await process.hop(await rig.reply(await rig.command(), Outcome.RETRY, code="unavailable", cost=dear))
    top, inner = await row(rig, "top"), await row(rig, "inner")
    detail = await describe(rig.store, rig.clock, top.saga)
    assert detail is not None
    assert detail.cost == cent
    assert detail.cost_with_children == {"USD": Decimal("0.31"), "tokens": Decimal(7)}
    assert [child.cost for child in detail.children] == [dear]
    below = await describe(rig.store, rig.clock, inner.saga)
    assert below is not None
    assert below.cost == below.cost_with_children == dear
    assert msgspec.json.decode(msgspec.json.encode(detail))["cost"] == {"USD": "0.01"}


async def test_a_cost_that_cannot_be_read_loses_no_answer(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The saga goes on; a log line and its detail say so, and neither repeats what was sent."""
    process = await rig.process()
    await process.hop(await rig.start())
    answer = wire.reply_to_wire(reply(await rig.command(), Outcome.OK, effect=ReplyEffect.APPLIED, body=b'{"id":"x"}'))
    odd = msgspec.structs.replace(answer, headers={**answer.headers, "saga-cost": "hunter2"})
    await process.hop(*await rig.arrive("saga.replies", odd, sender="reserve-service"))
    saga = (await rig.row()).saga
    detail = await describe(rig.store, rig.clock, saga)
    assert detail is not None
    assert next(step.state for step in detail.steps) == "ok"
    assert (detail.cost, detail.costs_unreadable) == ({}, 1)
    (said,) = [record for record in caplog.records if record.message == "the cost of a reply cannot be read"]
    assert vars(said)["saga_id"] == saga
    assert "hunter2" not in str([vars(record) for record in caplog.records])
