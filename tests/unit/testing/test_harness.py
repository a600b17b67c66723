"""`play`: whole sagas in virtual time."""

from datetime import timedelta

import msgspec
import pytest

from saga.core import events as e
from saga.core.definition import Step
from saga.testing import (
    NotPossible,
    RefusedCode,
    Script,
    Sent,
    Unscripted,
    Verdict,
    answered,
    begin,
    failed,
    given,
    issued,
    late,
    lost,
    ok,
    play,
    refused,
    retry,
    silent,
    started,
    stuck,
    succeeded,
    twice,
)
from tests.unit.testing.shop import ORDER, SUNNY, Declined, Done, Hold, Order, Ordered, Pay, Release, Repay, shop


async def test_a_sunny_day() -> None:
    """Everything is asked once, nothing waits, and the output is typed."""
    run = await play(shop, ORDER, SUNNY)
    assert (run.status, run.output, run.waits, run.undone) == ("completed", Ordered(parcel="d-1"), [], ())
    assert run.commands == ("note", "hold", "pay", "ship", "tell")
    assert run.standing == ("note", "hold", "pay", "ship", "tell")
    assert run.elapsed == timedelta(0)
    assert run.sent(Pay) == [Pay(order="o-1", amount=7)]
    assert run.broken_laws() == []


async def test_the_business_key_comes_from_the_input_unless_the_start_names_one() -> None:
    """As the engine does it."""
    assert begin(shop, ORDER, SUNNY).state.start_key == "k:o-1"
    assert begin(shop, ORDER, SUNNY, key="mine").state.start_key == "k:mine"


async def test_a_run_of_one_seed_is_always_the_same() -> None:
    """Chance comes from the seed alone; another seed spreads its retries otherwise."""
    again = [await play(shop, ORDER, {**SUNNY, "hold": [retry(), retry(), Done()]}, seed=seed) for seed in (1, 1, 2)]
    assert again[0].events == again[1].events
    assert again[0].elapsed != again[2].elapsed


async def test_compensation_asks_for_no_script() -> None:
    """An undo is answered by the inbox of its scripted participant; what needs no undo stays."""
    run = await play(shop, ORDER, {**SUNNY, "ship": Declined()})
    assert (run.status, run.because) == ("compensated", "ship: Declined")
    assert (run.undone, run.standing) == (("pay", "hold"), ("note",))
    assert run.sent(Release) == [Release(order="o-1")]


@pytest.mark.parametrize(
    ("pay", "attempts", "elapsed_seconds"),
    [
        (lost(Done()), 2, (30, 32)),
        ([lost(Done()), lost()], 3, (60, 64)),
        (lost(Done(), times=2), 3, (60, 64)),
        (late(Done(), by=timedelta(seconds=20)), 1, (20, 20)),
        (late(Done(), by=timedelta(seconds=40)), 2, (30, 40)),
        (stuck(Done(), by=timedelta(seconds=40)), 2, (30, 40)),
        (twice(Done()), 1, (0, 0)),
        ([retry("busy-bank", after=timedelta(minutes=5)), Done()], 2, (300, 301)),
        ([retry(done=Done(id="first")), Done(id="second")], 2, (0, 1)),
        ([silent(done=Done()), Done()], 2, (30, 31)),
        ([refused(RefusedCode.UNKNOWN_COMMAND), Done()], 2, (0, 1)),
        ([refused("expired"), Done()], 2, (0, 1)),
    ],
    ids=str,
)
async def test_mishaps_cost_time_and_nothing_else(pay: Script, attempts: int, elapsed_seconds: tuple[int, int]) -> None:
    """However the messages of a payment fare, it is done once and the saga completes."""
    run = await play(shop, ORDER, {**SUNNY, "pay": pay})
    assert run.status == "completed"
    assert run.attempts("pay") == attempts
    assert run.standing.count("pay") == 1
    low, high = elapsed_seconds
    assert low <= run.elapsed.total_seconds() <= max(high, low + 10)


async def test_an_unknown_outcome_is_undone_without_its_reply() -> None:
    """Three silent attempts: the payment may have happened, and its undo says only what is known."""
    run = await play(shop, ORDER, {**SUNNY, "pay": silent(done=Done())})
    assert (run.attempts("pay"), run.status, run.undone) == (3, "compensated", ("pay", "hold"))
    assert run.sent(Repay) == [Repay(id=None)]
    assert run.standing == ("note",)


async def test_a_late_reply_is_recorded_and_changes_nothing() -> None:
    """The answer to what was undone meanwhile is an inert fact."""
    run = await play(shop, ORDER, {**SUNNY, "pay": late(Done(), by=timedelta(days=2))}, until="pay")
    run.operator.cancel()
    await run.finish()
    assert (run.status, run.standing) == ("compensated", ("note",))
    assert isinstance(run.events[-1], e.LateReply)


async def test_a_command_after_its_compensation_finds_the_tombstone() -> None:
    """The undo came first: the late action is refused and does nothing."""
    run = await play(shop, ORDER, {**SUNNY, "pay": stuck(Done(), by=timedelta(days=2))}, until="pay")
    run.operator.cancel()
    await run.finish()
    assert (run.status, run.undone, run.standing) == ("compensated", ("pay", "hold"), ("note",))


async def test_what_is_tried_once_parks_in_doubt() -> None:
    """Nobody can tell whether the mail went out: a person says so, with evidence."""
    run = await play(shop, ORDER, {**SUNNY, "tell": [silent(), Done()]})
    assert (run.status, run.waits[0].path) == ("parked", "tell")
    run.operator.resolve("tell", Verdict.APPLIED, evidence="it is in the outbox", reply=Done())
    assert (await run.finish()).status == "completed"


async def test_an_undo_that_fails_holds_the_others() -> None:
    """The first compensation stands in front of a person, the second waits for it."""
    run = await play(shop, ORDER, {**SUNNY, "ship": Declined(), "pay.undo": failed("TooLate")})
    assert (run.status, run.undone, run.standing) == ("parked", (), ("note", "hold", "pay"))
    run.services.answer({"pay.undo": ok()})
    run.operator.resolve("pay", Verdict.RETRY)
    assert (await run.finish()).undone == ("pay", "hold")


async def test_abandoning_lists_what_stands() -> None:
    """Nothing is undone, and everybody can read what was left."""
    run = await play(shop, ORDER, SUNNY, until="ship")
    assert run.operator.abandon("enough") == ("note", "hold", "pay", "ship")
    assert (run.status, run.because) == ("abandoned", "enough")
    for verb in (run.operator.cancel, run.operator.abandon, run.operator.pause, run.operator.resume):
        with pytest.raises(NotPossible, match="has ended"):
            verb()


async def test_a_pause_records_what_arrives_and_sends_nothing() -> None:
    """The reply of the command on its way is taken; the next command waits for the end of the pause."""
    run = await play(shop, ORDER, SUNNY, until="hold")
    run.operator.pause()
    await run.advance(timedelta(days=30))
    assert (run.status, run.standing, run.commands) == ("paused", ("note", "hold"), ("note", "hold"))
    run.operator.resume()
    assert (await run.finish()).status == "completed"


async def test_a_service_that_is_down_takes_what_waited() -> None:
    """Commands wait in the queue; each attempt that gathered there is answered once the service is back."""
    run = await play(shop, ORDER, SUNNY, until="ship")
    run.services.down("post")
    await run.advance(timedelta(minutes=10))
    sent_count = run.attempts("ship")
    assert sent_count > 2
    run.services.up("post")
    await run.finish()
    assert (run.status, run.standing.count("ship"), run.attempts("ship")) == ("completed", 1, sent_count)


async def test_an_orchestrator_that_dies_sends_again() -> None:
    """It died between commit and dispatch: the alarm finds what was never sent."""
    run = begin(shop, ORDER, SUNNY)
    run.services.kill_orchestrator(after_commits=3)
    await run.finish()
    assert (run.status, run.elapsed) == ("completed", timedelta(seconds=10))


async def test_without_a_queue_the_clock_stands_still() -> None:
    """The command is returned until the queue is there; then it goes on with all its attempts."""
    run = await play(shop, ORDER, SUNNY, until="note")
    run.services.remove_queue("bank")
    await run.advance(timedelta(hours=6))
    assert ([wait.kind for wait in run.waits], run.attempts("pay")) == (["delivery"], 0)
    run.services.restore_queue("bank")
    await run.finish()
    assert (run.status, run.attempts("pay")) == ("completed", 1)


async def test_a_function_answers_from_the_command() -> None:
    """It sees the command as its class, and each attempt."""

    def pay(sent: Sent) -> Done | Declined:
        return Declined(reason="too much") if sent.as_a(Pay).amount > 5 else Done()

    dear = await play(shop, ORDER, {**SUNNY, "pay": pay})
    cheap = await play(shop, Order(id="o-2", amount=5), {**SUNNY, "pay": pay})
    assert (dear.status, cheap.status) == ("compensated", "completed")


async def test_a_function_is_asked_for_every_sending() -> None:
    """Its answer is not remembered, whatever befell it."""

    def pay(sent: Sent) -> object:
        return lost(Done()) if sent.message.attempt < 3 else Done()

    assert (await play(shop, ORDER, {**SUNNY, "pay": pay})).attempts("pay") == 3  # type: ignore[dict-item]  # wide on purpose


async def test_a_command_as_another_class_is_refused() -> None:
    """A test that decodes the wrong command says so instead of reading nonsense."""
    run = await play(shop, ORDER, SUNNY)
    assert str(run.sendings[1]) == 'hold: stock.Hold.v1 {"order":"o-1"}'
    with pytest.raises(TypeError, match=r"hold was sent stock.Hold.v1, which is no bank.Pay.v1"):
        run.sendings[1].as_a(Pay)


async def test_an_output_needs_an_end() -> None:
    """Only a completed saga has one; the error shows where it stands instead."""
    run = await play(shop, ORDER, {**SUNNY, "hold": retry()}, until="hold")
    with pytest.raises(LookupError, match=r"shop v2 is running") as raised:
        _ = run.output
    assert "waits: hold: reply of stock.Hold.v1 is due" in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        ({"note": Done()}, Unscripted, r"step 'hold' was sent stock.Hold.v1.*Fix: answers=\{'hold': Done\(...\)\}"),
        ({**SUNNY, "hodl": Done()}, LookupError, r"shop has no step 'hodl'. Fix: answer one of note, hold, hold.undo"),
        ({**SUNNY, "hold": []}, LookupError, "an empty script"),
        ({**SUNNY, "hold": "yes"}, TypeError, "'yes' is no answer"),
        ({**SUNNY, "hold": ok()}, TypeError, r"hold: ok\(\) without a reply. Fix: Done\(...\)"),
        ({**SUNNY, "hold": Hold(order="x")}, TypeError, "stock.Hold.v1 is answered with Done, not with Hold"),
        ({**SUNNY, "note": Declined()}, TypeError, "declares no failure Declined; declared: none"),
    ],
)
async def test_a_script_that_cannot_be_says_why(answers: dict[str, Script], error: type[Exception], says: str) -> None:
    """The step, the reason and the fix."""
    with pytest.raises(error, match=says):
        await play(shop, ORDER, answers)


async def test_a_code_the_wire_does_not_have_is_refused() -> None:
    """`refused` speaks the wire's own words only."""
    with pytest.raises(ValueError, match="nope"):
        refused("nope")


async def test_a_step_that_is_never_reached_ends_the_wait() -> None:
    """`until` says where the saga stands instead of waiting for ever."""
    with pytest.raises(LookupError, match=r"ship was never sent: shop v2 is compensated \(hold: Declined\)"):
        await play(shop, ORDER, {**SUNNY, "hold": Declined()}, until="ship")


async def test_an_input_that_does_not_fit_starts_nothing() -> None:
    """What the engine would park is an error of the test."""
    with pytest.raises(ValueError, match=r"reads-mismatch: the saga cannot run on this input: .*amount"):
        await play(shop, Hold(order="x"), SUNNY)  # type: ignore[misc]  # the mistake that is shown


async def test_replies_come_from_a_user_who_is_believed() -> None:
    """Where a service answers under other names than its own, scripted ones do too."""
    steps = tuple(
        msgspec.structs.replace(
            block, command=msgspec.structs.replace(block.command, senders=(f"{block.command.service}-eu",))
        )
        for block in shop.compiled.blocks
        if isinstance(block, Step)
    )
    compiled = msgspec.structs.replace(shop.compiled, blocks=steps)
    elsewhere = msgspec.structs.replace(shop, compiled=compiled)
    assert (await play(elsewhere, ORDER, SUNNY)).status == "completed"
    given(elsewhere, started(ORDER)).when(answered("note", Done())).then(succeeded("note"), issued("hold"))
