"""What an orchestrator says and does at a limit: it warns with the saga's id, parks, and loses nothing."""

import logging

import msgspec
import pytest

from saga.core.limits import BODY_BYTES_MAX
from saga.core.nearing import NEARING_TAG
from saga.engine.backlog import Backlog
from saga.engine.lookup import describe
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from tests.builders import plan, step
from tests.unit.engine.rig import Rig, heard, start_message

IN_FLIGHT = EngineSettings(max_in_flight=10, batch_max=100)
KEYLESS = plan(step("reserve"))


def warned(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Saga and limit of each warning."""
    said = [vars(record) for record in caplog.records if record.levelno == logging.WARNING and "limit" in vars(record)]
    return [(str(each.get("saga_id", "")), str(each["limit"])) for each in said]


def an_input(body_bytes: int) -> bytes:
    return b'{"id":"' + b"x" * (body_bytes - len('{"id":""}')) + b'"}'


async def test_the_largest_input_starts_a_saga_and_a_larger_one_is_parked(caplog: pytest.LogCaptureFixture) -> None:
    """The first is said to be large; of the second the caller hears why, and it is kept."""
    rig = Rig(KEYLESS)
    process = await rig.process()
    largest = await rig.start(start_key="k:largest", input=an_input(BODY_BYTES_MAX))
    assert heard(await process.handle(largest)) == ["accepted"]
    row = await rig.row()
    assert (row.saga, f"the input has {BODY_BYTES_MAX} of {BODY_BYTES_MAX} bytes") in warned(caplog)
    larger = msgspec.structs.replace(largest, body=an_input(BODY_BYTES_MAX + 1), token=largest.token + 1)
    hop = await process.handle(larger)
    assert heard(hop) == ["refused too-large"]
    assert hop.done == [larger]
    [parked] = await rig.parked()
    assert (parked.reason, parked.body) == ("too-large", larger.body)
    assert [each.saga for each in await rig.rows()] == [row.saga]


async def test_a_saga_whose_history_nears_its_limit_is_found(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the log, and a mark in the list and in the detail as long as it is open."""
    monkeypatch.setattr("saga.core.nearing.EVENTS_MAX", 5)
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    assert (warned(caplog), await rig.rows(tags={NEARING_TAG: "history"})) == ([], [])
    await process.hop(await rig.reply(await rig.command()))
    assert [found for found, _ in warned(caplog)] == [saga]
    assert [row.saga for row in await rig.rows(tags={NEARING_TAG: "history"})] == [saga]
    shown = await describe(rig.store, rig.clock, saga)
    assert shown is not None
    assert shown.tags[NEARING_TAG] == "history"
    await process.hop(await rig.reply(await rig.command("charge-service")))
    assert len(warned(caplog)) == 1
    assert await rig.rows(tags={NEARING_TAG: "history"}) == []


async def test_starts_wait_when_as_many_commands_are_open_as_may_be(caplog: pytest.LogCaptureFixture) -> None:
    """They stay in their queue, said once when it comes near and again only after it was half empty."""
    backlog = Backlog(IN_FLIGHT)
    backlog.add([Work(start_message(f"o{number}")) for number in range(12)])
    backlog.opened(7)
    assert warned(caplog) == []
    backlog.opened(2)
    assert warned(caplog) == [("", "9 of 10 commands in flight")]
    assert len(backlog.next_batch()) == 1
    backlog.opened(1)
    assert backlog.next_batch() == []
    backlog.opened(-3)
    backlog.opened(3)
    assert len(warned(caplog)) == 1
    backlog.opened(-6)
    assert len(backlog.next_batch()) == 6
    backlog.opened(6)
    assert len(warned(caplog)) == 2
