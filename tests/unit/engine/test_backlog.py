"""Work that waits: replies and alarms first, starts while there is room."""

import asyncio

import pytest

from saga.engine.backlog import Backlog
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings
from saga.ports import ParkedMessage
from tests.unit.engine.rig import start_message

SETTINGS = EngineSettings(batch_max=4, max_in_flight=3)


def start(order: str) -> Work:
    return Work(start_message(order))


def alarm(saga: str) -> Work:
    return Work(None, saga)


async def test_alarms_and_replies_go_before_starts() -> None:
    """Whatever came first; a batch is never longer than told."""
    backlog = Backlog(SETTINGS)
    backlog.add([start("o1"), start("o2"), *(alarm(str(number)) for number in range(3))])
    assert [work.saga or "start" for work in backlog.next_batch()] == ["0", "1", "2", "start"]
    assert [work.saga or "start" for work in backlog.next_batch()] == ["start"]
    assert backlog.next_batch() == []


async def test_alarms_wait_until_the_last_is_taken() -> None:
    """Whatever else has come meanwhile: it must not keep the next ones from being claimed."""
    backlog = Backlog(SETTINGS)
    backlog.add([alarm(str(number)) for number in range(5)])
    parked = ParkedMessage("q", "r", "", "", "", b"", {}, "", "", "", "", None)
    backlog.add([Work(parked) for _ in range(5)])
    waited = []
    while batch := backlog.next_batch():
        waited.append((len(batch), backlog.alarms_wait))
    assert waited == [(4, True), (4, False), (2, False)]


async def test_starts_take_no_more_than_the_room() -> None:
    """Two commands are open and three may be: one start."""
    backlog = Backlog(SETTINGS)
    backlog.opened(2)
    backlog.add([start("o1"), start("o2")])
    assert len(backlog.next_batch()) == 1
    backlog.opened(1)
    assert backlog.next_batch() == []
    backlog.opened(-3)
    assert len(backlog.next_batch()) == 1


async def test_what_others_opened_does_not_add_up() -> None:
    """A process that closes what another one opened goes below zero, but only so far."""
    backlog = Backlog(SETTINGS)
    for _ in range(10):
        backlog.opened(-1)
    assert backlog.in_flight == -SETTINGS.max_in_flight


@pytest.mark.parametrize("processes", [2, 4])
async def test_the_sum_over_all_processes_is_what_is_open(processes: int) -> None:
    """However unevenly starts and replies are spread, the counts of all processes add up to the truth."""
    settings = EngineSettings(max_in_flight=1_000)
    backlogs = [Backlog(settings) for _ in range(processes)]
    for number in range(100):
        backlogs[0].opened(1)
        if number >= 10:
            backlogs[number % processes].opened(-1)
    assert sum(backlog.in_flight for backlog in backlogs) == 10


async def test_put_back_work_is_next() -> None:
    """In the order it had."""
    backlog = Backlog(SETTINGS)
    backlog.add([alarm("3")])
    backlog.put_back([alarm("1"), alarm("2")])
    assert [work.saga for work in backlog.next_batch()] == ["1", "2", "3"]


async def test_a_reader_waits_for_room() -> None:
    """Until the starts it brought are begun and fewer commands are open than may be."""
    backlog = Backlog(SETTINGS)
    backlog.add([start("o1")])
    waiting = asyncio.create_task(backlog.room_for_starts(60))
    await asyncio.sleep(0)
    backlog.opened(3)
    backlog.next_batch()
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.opened(-1)
    assert len(backlog.next_batch()) == 1
    async with asyncio.timeout(5):
        await waiting


async def test_a_reader_does_not_wait_for_ever() -> None:
    """What this process thinks to be open may long be closed elsewhere."""
    backlog = Backlog(SETTINGS)
    backlog.opened(3)
    async with asyncio.timeout(5):
        await backlog.room_for_starts(0)
    assert backlog.in_flight == 0


@pytest.mark.parametrize(("answered_count", "gives_up"), [(0, True), (1, False)])
async def test_only_what_closes_something_prolongs_the_wait(
    monkeypatch: pytest.MonkeyPatch, answered_count: int, gives_up: bool
) -> None:
    """Operators close sagas without a word to orchestrators: signals keep coming then, and room never does."""
    seconds = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: seconds[0])
    backlog = Backlog(SETTINGS)
    backlog.opened(3)
    waiting = asyncio.create_task(backlog.room_for_starts(30))
    for _ in range(20):
        await yielded()
        seconds[0] += 6
        backlog.add([alarm("1")])
        backlog.next_batch()
        backlog.opened(0, answered_count)
    await yielded()
    assert waiting.done() == gives_up
    assert backlog.in_flight == (0 if gives_up else 3)
    waiting.cancel()


async def yielded() -> None:
    """Everybody has had a turn."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_ending_process_begins_nothing() -> None:
    """Starts that arrive or wait are dropped here, for others; replies go on."""
    backlog = Backlog(SETTINGS)
    backlog.add([start("o1")])
    backlog.begin_no_more()
    backlog.add([start("o2"), alarm("1")])
    assert [work.saga for work in backlog.next_batch()] == ["1"]
    assert backlog.next_batch() == []
