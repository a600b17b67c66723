"""What a participant counts: answers by command and outcome, and no word that anybody chose freely."""

from datetime import timedelta

import msgspec
import pytest

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.contract import Context, RetryLater
from saga.core.metrics import catalogue as m
from saga.core.metrics.tally import Tallies
from saga.participant import Serving
from tests.metrics import counted, points
from tests.unit.participant.till import QUEUE, Away, Till, pay

PAY = "bank.Pay.v1"
SECRET = "hunter2"


def counting(till: Till) -> Tallies:
    """From here on its answers are counted."""
    tallies = Tallies()
    database = till.serving.database
    till.serving = Serving(till.serving.participant, database, till.clock, "till-1", tallies=tallies)
    return tallies


@pytest.mark.parametrize("together", [1, 4])
async def test_answers_are_counted_and_timed(database: SqliteDatabase, together: int) -> None:
    """Whether commands share a transaction or not; a replay is a duplicate absorbed, and runs no handler."""
    till = Till(database, commands_per_transaction=together)
    found = counting(till)

    async def think(_ctx: Context) -> None:
        till.clock.seconds += 1.5

    till.during = think
    await till.send(*(wire.command_to_wire(pay(number)) for number in (1, 2, 3)))
    await till.serve()
    await till.send(wire.command_to_wire(pay(1)))
    await till.serve()
    assert till.runs == 3
    assert counted(found, m.HANDLED) == {(PAY, "action", "ok", ""): 4}
    assert counted(found, m.ABSORBED) == {(PAY, "action"): 1}
    worked = points(found, m.WORKED)[PAY, "action", "ok"]
    assert (sum(worked.counts), worked.value >= 4.5) == (4, True)
    assert counted(found, m.PROCESSED) == {("rabbitmq", "process", f"saga.commands:{PAY}:{QUEUE}", ""): 4}


async def test_what_goes_wrong_is_a_word_of_a_closed_list(database: SqliteDatabase) -> None:
    """A handler's own code, an unknown command, a body that does not fit, a command that is too old."""
    till = Till(database)
    found = counting(till)

    async def later(_ctx: Context) -> None:
        raise RetryLater(SECRET, code=SECRET)

    till.during = later
    unknown = msgspec.structs.replace(pay(2), command=SECRET)
    misfit = pay(3, body=b'{"amount":"much"}')
    old = msgspec.structs.replace(pay(4), expires_at=till.clock.now() - timedelta(days=1))
    await till.send(*map(wire.command_to_wire, (pay(1), unknown, misfit, old)))
    await till.serve()
    assert counted(found, m.HANDLED) == {
        (PAY, "action", "retry", "other"): 1,
        ("other", "action", "refused", "unknown-command"): 1,
        (PAY, "action", "refused", "invalid-payload"): 1,
        (PAY, "action", "refused", "expired"): 1,
    }
    errors = {labels[3] for labels in counted(found, m.PROCESSED)}
    assert errors == {"other", "unknown-command", "invalid-payload", "expired"}
    assert SECRET not in str(found.read())


async def test_messages_that_are_no_command(database: SqliteDatabase) -> None:
    """Parked, by the wire's own word."""
    till = Till(database)
    found = counting(till)
    bad_header = wire.command_to_wire(pay(2))
    bad_header = msgspec.structs.replace(bad_header, headers={**bad_header.headers, "saga-attempt": SECRET})
    await till.send(wire.command_to_wire(pay(1, body=b'"\\u0000"')), bad_header)
    await till.serve()
    assert counted(found, m.UNREADABLE) == {("nul",): 1, ("bad-header",): 1}
    assert counted(found, m.HANDLED) == {}
    assert SECRET not in str(found.read())


async def test_commands_given_back() -> None:
    """The database is away: nothing is answered, and that is counted too."""
    till = Till(Away())
    found = counting(till)
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    assert counted(found, m.GIVEN_BACK) == {(): 1}
    assert counted(found, m.HANDLED) == {}


async def test_work_in_progress_is_shown(database: SqliteDatabase) -> None:
    """As long as the handler runs."""
    till = Till(database)
    found = counting(till)
    seen: list[dict[tuple[str, ...], float]] = []

    async def look(_ctx: Context) -> None:
        seen.append(counted(found, m.RUNNING))

    till.during = look
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    assert seen == [{(): 1}]
    assert counted(found, m.RUNNING) == {(): 0}
