"""A batch of work: one commit, and only then publishing, answering and acknowledging."""

from collections.abc import Awaitable

import msgspec
import pytest

from saga import wire
from saga.core.decide import Decision
from saga.core.decide import decide as real_decide
from saga.core.inputs import Input
from saga.core.messages import Outcome, ReplyEffect
from saga.core.plan import Plan
from saga.core.state import SagaState
from saga.engine.handle import Hop
from saga.engine.receive import Work
from saga.ports import Advance, CommitUnknown, NewSaga, Outgoing, ParkedMessage, Unavailable
from tests.builders import reply
from tests.unit.engine.rig import TWO_STEPS, Rig, heard


async def test_a_batch_is_one_read_and_one_commit(rig: Rig) -> None:
    """Fifty replies of fifty sagas cost one tail read and one commit, and fifty commands leave after it."""
    process = await rig.process()
    starts = [await rig.start(f"o{number}") for number in range(50)]
    await process.hop(*starts)
    commands = [wire.command_from_wire(each) for each in await rig.take("saga.commands.reserve-service", 50)]
    replies = [await rig.reply(command) for command in commands]
    rig.store.calls.clear()
    hop = await process.handle(*replies)
    assert rig.store.calls == {"load": 1, "commit": 1}
    assert hop.done == replies
    assert len(hop.dispatches) == 50


async def test_a_batch_of_starts_is_one_commit(rig: Rig) -> None:
    """Starting costs no read at all once the definition is known."""
    process = await rig.process()
    await process.hop(await rig.start("first"))
    starts = [await rig.start(f"o{number}") for number in range(20)]
    rig.store.calls.clear()
    await process.handle(*starts)
    assert rig.store.calls == {"commit": 1}


async def test_a_saga_takes_part_once_a_batch(rig: Rig) -> None:
    """A second event for the same saga waits for the next batch, where it sees the first."""
    process = await rig.process()
    await process.hop(await rig.start())
    command = await rig.command()
    first, copy = await rig.reply(command), await rig.reply(command)
    hop = await process.handle(first, copy)
    assert [each.delivery for each in hop.again] == [copy]
    assert hop.done == [first]
    again = await process.handle(*hop.again)
    assert again.done == [copy]
    assert (await rig.row()).version == 2


async def test_who_loses_a_race_is_decided_again(rig: Rig) -> None:
    """Two orchestrators, two copies of one reply: the loser acknowledges nothing, reads again and sees a duplicate."""
    one, two = await rig.process(), await rig.process()
    await one.hop(await rig.start())
    command = await rig.command()
    first, copy = await rig.reply(command), await rig.reply(command)
    rig.store.before_commit = lambda: _later(rig, one.hop(first))
    hop = await two.handle(copy)
    assert hop.done == []
    assert hop.dispatches == []
    assert [each.delivery for each in hop.again] == [copy]
    again = await two.handle(*hop.again)
    assert again.done == [copy]
    assert again.dispatches == []
    assert (await rig.row()).version == 2


async def _later(rig: Rig, hop: Awaitable[Hop]) -> Hop:
    """At another moment, so that the two decisions are not the very same commit."""
    rig.clock.seconds += 1
    return await hop


async def test_a_quick_loser_does_not_take_the_batch_down(rig: Rig) -> None:
    """Of two sagas in a batch one loses: the other one's reply is settled and its command leaves."""
    one, two = await rig.process(), await rig.process()
    await one.hop(await rig.start("o1"), await rig.start("o2"))
    first, second = [wire.command_from_wire(each) for each in await rig.take("saga.commands.reserve-service", 2)]
    copy, other = await rig.reply(first), await rig.reply(second)
    winner = await rig.reply(first)
    rig.store.before_commit = lambda: _later(rig, one.hop(winner))
    hop = await two.handle(copy, other)
    assert hop.done == [other]
    assert [dispatch.saga for dispatch in hop.dispatches] == [second.saga]
    assert [each.delivery for each in hop.again] == [copy]


async def test_one_saga_that_cannot_be_decided_on_is_set_aside(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reply is parked as our defect, its history stays as it was, and its neighbour goes on."""
    process = await rig.process()
    await process.hop(await rig.start("o1"), await rig.start("o2"))
    first, second = [wire.command_from_wire(each) for each in await rig.take("saga.commands.reserve-service", 2)]
    bad, good = await rig.reply(first), await rig.reply(second)
    _break_decide(monkeypatch, first.saga)
    hop = await process.handle(bad, good)
    assert hop.done in ([good, bad], [bad, good])
    assert [dispatch.saga for dispatch in hop.dispatches] == [second.saga]
    [parked] = await rig.parked()
    assert (parked.reason, parked.correlation_id) == ("engine-defect", first.saga)
    assert "planted" in parked.detail
    assert len(await rig.store.history(first.saga)) == 1
    assert len(await rig.store.history(second.saga)) == 2


async def test_an_alarm_of_a_saga_that_cannot_be_decided_on_parks_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no message to keep; the claim's lease brings it back."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    _break_decide(monkeypatch, saga)
    hop = await process.handle(Work(None, saga))
    assert hop.again == []
    assert await rig.parked() == []


def _break_decide(monkeypatch: pytest.MonkeyPatch, saga: str) -> None:
    def decide(plan: Plan, state: SagaState | None, given: Input) -> Decision:
        if state is not None and state.saga == saga:
            raise ZeroDivisionError("planted")
        return real_decide(plan, state, given)

    monkeypatch.setattr("saga.engine.draft.decide", decide)


async def test_a_history_that_cannot_be_read_takes_nobody_with_it(rig: Rig) -> None:
    """Damaged bytes in the store: the message is parked with what is wrong, the neighbour goes on."""
    process, fresh = await rig.process(), await rig.process()
    await process.hop(await rig.start("o1"), await rig.start("o2"))
    first, second = [wire.command_from_wire(each) for each in await rig.take("saga.commands.reserve-service", 2)]
    record = rig.store._table.records[first.saga]
    record.history[0] = msgspec.structs.replace(record.history[0], data=b"not events")
    bad, good = await rig.reply(first), await rig.reply(second)
    hop = await fresh.handle(bad, good)
    assert sorted(hop.done, key=id) == sorted([bad, good], key=id)
    [parked] = await rig.parked()
    assert parked.reason == "engine-defect"
    assert "cannot be read" in parked.detail


async def test_a_saga_without_its_definition_is_no_unknown_saga(rig: Rig) -> None:
    """The row is there and its definition is not: the reason says so."""
    process, fresh = await rig.process(), await rig.process()
    await process.hop(await rig.start())
    command = await rig.command()
    del rig.store._definitions[TWO_STEPS.hash]
    hop = await fresh.handle(await rig.reply(command))
    assert len(hop.done) == 1
    [parked] = await rig.parked()
    assert parked.reason == "engine-defect"
    assert "no definition" in parked.detail


# ------------------------------------------------------------------------------------------------- the store in trouble


async def test_nothing_is_settled_while_the_store_is_away(rig: Rig) -> None:
    """Unavailable leaves the step; the same batch again does everything."""
    process = await rig.process()
    delivery = await rig.start()
    rig.store.fail("commit", Unavailable("away"))
    with pytest.raises(Unavailable):
        await process.handle(delivery)
    assert await rig.rows() == []
    hop = await process.handle(delivery)
    assert hop.done == [delivery]
    assert heard(hop) == ["accepted"]


async def test_a_lost_answer_is_asked_for_again(rig: Rig) -> None:
    """The commit took place, its answer was lost: asked again the same batch has won, and the command leaves."""
    process = await rig.process()
    delivery = await rig.start()
    rig.store.lost_answers.append(CommitUnknown("no answer"))
    hop = await process.handle(delivery)
    assert hop.done == [delivery]
    assert heard(hop) == ["accepted"]
    assert len(hop.dispatches) == 1
    assert len(await rig.rows()) == 1


async def test_an_answer_lost_again_and_again_settles_nothing(rig: Rig) -> None:
    """Then nothing is acknowledged; the redelivered start finds the saga it made."""
    process = await rig.process()
    delivery = await rig.start()
    rig.store.lost_answers.extend(CommitUnknown("no answer") for _ in range(3))
    with pytest.raises(Unavailable):
        await process.handle(delivery)
    hop = await process.handle(delivery)
    assert hop.done == [delivery]
    assert heard(hop) == ["accepted existing"]
    assert len(await rig.rows()) == 1


async def test_a_store_that_leaves_after_the_commit_takes_nothing_along(rig: Rig) -> None:
    """Alarms that cannot be set anew, and starts that cannot be looked up, must not lose what was committed."""
    process = await rig.process()
    await process.hop(await rig.start("o1"))
    command = await rig.command()
    answer, copy, tick = await rig.reply(command), await rig.start("o1"), Work(None, command.saga)
    rig.store.fail("rearm", Unavailable("gone"))
    rig.store.fail("find", Unavailable("gone"))
    other = await process.handle(tick, copy)
    assert [each.delivery for each in other.again] == [copy]
    hop = await process.handle(answer)
    assert hop.done == [answer]
    assert len(hop.dispatches) == 1


@pytest.mark.parametrize("count", [1, 2, 7, 64])
async def test_a_row_the_store_refuses_does_not_take_its_neighbours(rig: Rig, count: int) -> None:
    """The one bad saga is found in O(log n) commits and reported once; all the others are committed."""
    process = await rig.process()
    starts = [await rig.start(f"o{number}") for number in range(count)]
    bad = starts[count // 2]
    rig.store.unstorable = lambda row: isinstance(row, NewSaga) and row.start_key == f"k:o{count // 2}"
    hop = await process.handle(*starts)
    assert rig.store.calls["commit"] <= 2 * count.bit_length() + 1
    assert len(await rig.rows()) == count - 1
    assert bad not in hop.done
    [kept] = hop.again
    parked = await process.handle(kept)
    assert parked.done == [bad]
    assert heard(parked) == ["refused engine-defect"]
    assert parked.again == []
    [row] = await rig.parked()
    assert "unstorable NewSaga" in row.detail


async def test_a_refused_step_of_a_saga_leaves_the_saga_as_it_was(rig: Rig) -> None:
    """Its reply ends as a parked message and does not come back for ever."""
    process = await rig.process()
    await process.hop(await rig.start())
    answer = await rig.reply(await rig.command())
    rig.store.unstorable = lambda row: isinstance(row, Advance)
    hop = await process.handle(answer)
    assert hop.done == []
    last = await process.handle(*hop.again)
    assert last.done == [answer]
    assert last.again == []
    assert (await rig.row()).version == 1
    [parked] = await rig.parked()
    assert parked.reason == "engine-defect"


async def test_a_parked_message_the_store_refuses_is_kept_bare(rig: Rig) -> None:
    """Without the headers that may be to blame; its body and its origin are there."""
    process = await rig.process()
    [delivery] = await rig.arrive("saga.start", _garbage(), sender="shop")
    rig.store.unstorable = lambda row: isinstance(row, ParkedMessage) and bool(row.headers)
    hop = await process.handle(delivery)
    assert hop.done == [delivery]
    [parked] = await rig.parked()
    assert (parked.origin, parked.body, parked.headers) == ("saga.start", b"garbage", {})


async def test_a_parked_message_that_cannot_be_kept_at_all_ends_too(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The last resort is the log: a redelivery loop would help nobody."""
    process = await rig.process()
    [delivery] = await rig.arrive("saga.start", _garbage(), sender="shop")
    rig.store.unstorable = lambda row: isinstance(row, ParkedMessage)
    hop = await process.handle(delivery)
    assert hop.done == [delivery]
    assert hop.again == []
    assert "lost but for this line" in caplog.text


def _garbage() -> Outgoing:
    return Outgoing("saga.start", "order", b"garbage", "m", "order", {"saga-key": "x"})


# ------------------------------------------------------------------------------------------------------ what is parked


async def test_a_reply_nobody_asked_for_is_parked(rig: Rig) -> None:
    """No such saga; no such execution; a sender who may not speak for the service. No history is touched."""
    process = await rig.process()
    await process.hop(await rig.start())
    command = await rig.command()
    strange = msgspec.structs.replace(command, saga="01930000-0000-7000-8000-00000000ffff")
    nobody = await rig.reply(strange)
    never = await rig.reply(msgspec.structs.replace(command, execution=9))
    message = wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED))
    [forged] = await rig.arrive("saga.replies", message, sender="charge-service")
    hop = await process.handle(nobody, never, forged)
    assert len(hop.done) == 3
    reasons = [parked.reason for parked in await rig.parked()]
    assert reasons == ["unknown-saga", "unknown-execution", "forged-sender"]
    assert (await rig.row()).version == 1


async def test_the_end_is_told_to_whoever_started_it(rig: Rig) -> None:
    """With its output; a late copy of the last reply says nothing more."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    last = await rig.command("charge-service")
    hop = await process.handle(await rig.reply(last))
    assert heard(hop) == ["ended completed"]
    assert hop.answers[0].in_reply_to == "start-o1"
    assert hop.answers[0].output == b'{"order":"o1"}'
    late = await process.handle(await rig.reply(last))
    assert heard(late) == []
    assert len(late.done) == 1
    contradiction = await process.handle(await rig.reply(last, Outcome.FAILED))
    assert (await rig.row()).version == 4, "recorded"
    assert heard(contradiction) == [], "and nobody is told again how it ended"


async def test_open_commands_are_counted_by_what_the_history_says(rig: Rig) -> None:
    """One up when a command is sent, nothing for duplicates and re-sends, down to zero at the end."""
    process = await rig.process()
    opened = (await process.hop(await rig.start())).opened
    command = await rig.command()
    answer, copy = await rig.reply(command), await rig.reply(command)
    opened += (await process.hop(answer)).opened
    assert opened == 1
    opened += (await process.hop(copy)).opened
    rig.clock.seconds += 11
    opened += (await process.tick()).opened
    assert opened == 1
    opened += (await process.hop(await rig.reply((await rig.commands("charge-service"))[0]))).opened
    assert opened == 0
