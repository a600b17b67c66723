"""`given … when … then`: one decision at a time, and failures that show the difference."""

from datetime import timedelta

import pytest

from saga.core import events as e
from saga.testing import (
    NotPossible,
    Past,
    Verdict,
    abandoned,
    answered,
    cancelled,
    compensated,
    compensating,
    completed,
    event,
    failed,
    given,
    issued,
    lost,
    ok,
    parked,
    paused,
    refused,
    refused_by,
    resolved,
    resumed,
    retry,
    silent,
    started,
    succeeded,
    time_passed,
    undelivered,
    undone,
)
from tests.unit.testing.shop import ORDER, Declined, Done, Hold, Pay, Release, Repay, Tell, shop

AT_PAY: tuple[Past, ...] = (started(ORDER), answered("note", Done()), answered("hold", Done()))
AT_SHIP: tuple[Past, ...] = (*AT_PAY, answered("pay", Done(id="p-1")))


def test_a_start_sends_the_first_command() -> None:
    """Without a history there is no saga yet."""
    given(shop).when(started(ORDER)).then(event(e.SagaStarted, start_key="k:o-1"), issued("note"))
    given(shop).when(started(ORDER, key="mine")).then_among_others(event(e.SagaStarted, start_key="k:mine"))


def test_commands_are_compared_as_values() -> None:
    """What the participant will read is what counts."""
    paying = given(shop, *AT_PAY[:-1]).when(answered("hold", Done()))
    paying.then(succeeded("hold"), issued("pay", Pay(order="o-1", amount=7)))
    with pytest.raises(AssertionError):
        paying.then(succeeded("hold"), issued("pay", Pay(order="o-1", amount=8)))
    with pytest.raises(AssertionError):
        paying.then(succeeded("hold"), issued("pay", Hold(order="o-1")))


def test_a_refusal_undoes_in_reverse() -> None:
    """Each compensation follows the one before; with what the reply said."""
    given(shop, *AT_SHIP).when(answered("ship", Declined())).then(
        refused_by("ship", Declined), compensating("failed"), issued("pay.undo", Repay(id="p-1"))
    ).when(answered("pay.undo", ok())).then(undone("pay"), issued("hold.undo", Release(order="o-1"))).when(
        answered("hold.undo", ok())
    ).then(undone("hold"), compensated()).then_state(status="compensated", because="ship: Declined", waits_for=())


def test_a_cancel_undoes_what_may_have_happened() -> None:
    """The payment is on its way: its undo says that nothing is known."""
    given(shop, *AT_PAY).when(cancelled("no more")).then(
        event(e.CancelRequested, takes_effect="now", reason="no more"),
        compensating("cancelled"),
        issued("pay.undo", Repay(id=None)),
    ).when(cancelled()).nothing_happened()


def test_the_last_step_completes() -> None:
    """The end of a happy day."""
    given(shop, *AT_SHIP, answered("ship", Done())).when(answered("tell", Done())).then(
        succeeded("tell"), completed()
    ).then_state(status="completed")


def test_time_passes_only_in_the_test() -> None:
    """Thirty seconds without an answer end the attempt; the next is sent after its back-off."""
    given(shop, started(ORDER)).when(time_passed(timedelta(seconds=29))).nothing_happened().when(
        time_passed(timedelta(seconds=1))
    ).then(event(e.AttemptEnded, why="timeout")).when(time_passed(timedelta(seconds=1))).then(
        event(e.CommandRepeated, path="note", attempt=2)
    )


def test_answers_that_settle_nothing() -> None:
    """`retry` is tried again later, an undelivered command stops the clock, `refused` may need a person."""
    case = given(shop, started(ORDER))
    case.when(undelivered("note")).then(event(e.DispatchDelayed, why="no queue for log")).then_state(
        waits_for=["delivery"]
    )
    given(shop, started(ORDER)).when(answered("note", retry("full"))).then(event(e.AttemptEnded, why="full"))
    given(shop, started(ORDER)).when(answered("note", refused("key-reused"))).then(parked("note", "key-reused"))


def test_a_paused_saga_waits_for_its_end() -> None:
    """What arrives is recorded, what follows waits."""
    given(shop, started(ORDER), paused("look")).when(answered("note", Done())).then(succeeded("note")).then_state(
        status="paused", waits_for=["paused"]
    ).when(resumed()).then_among_others(issued("hold"))


def test_an_operator_moves_what_is_parked() -> None:
    """With evidence; the engine's own words say why not."""
    told = (*AT_SHIP, answered("ship", Done()), answered("tell", refused("in-doubt")))
    with pytest.raises(NotPossible, match="needs evidence"):
        given(shop, *told).when(resolved("tell", Verdict.APPLIED, reply=Done()))
    given(shop, *told).when(resolved("tell", Verdict.APPLIED, evidence="seen", reply=Done())).then(
        event(e.StepReleased, verdict="applied"), succeeded("tell"), completed()
    )


def test_an_abandoned_saga_lists_what_stands() -> None:
    """Nothing is undone."""
    given(shop, *AT_PAY).when(abandoned("enough")).then(
        event(e.SagaAbandoned, reason="enough", unresolved=("note", "hold", "pay"))
    )


def test_a_compensation_that_fails_parks() -> None:
    """Its name is that of its step, with `.undo`."""
    given(shop, *AT_SHIP, answered("ship", Declined())).when(answered("pay.undo", failed("TooLate", "sorry"))).then(
        event(e.CompensationFailed, code="TooLate"), parked("pay.undo", "compensation-failed")
    ).then_state(status="parked", parked={"pay.undo": "compensation-failed"})


def test_a_difference_reads_like_a_diff() -> None:
    """What was expected stands beside what happened, with the story that led there."""
    with pytest.raises(AssertionError) as raised:
        given(shop, *AT_PAY).when(answered("pay", Declined(reason="empty"))).then(
            refused_by("pay", Declined), issued("ship"), issued("hold.undo")
        )
    assert str(raised.value) == (
        "shop v2\n"
        "  given started(Order), answered('note', Done), answered('hold', Done)\n"
        "  when  answered('pay', Declined)\n"
        "  then (- expected, + happened)\n"
        "      StepFailed pay code=Declined\n"
        "    - CommandIssued ship\n"
        "    + CompensationStarted pay because=failed code=Declined\n"
        "      CommandIssued hold.undo"
    )


def test_a_wrong_state_names_what_stands() -> None:
    """Only what differs is shown."""
    with pytest.raises(AssertionError, match=r"- status: completed\n    \+ status: running$"):
        given(shop).when(started(ORDER)).then_state(status="completed", because="")


def test_events_nobody_expected_are_shown() -> None:
    """Without what hardly ever matters: times and hashes."""
    with pytest.raises(AssertionError) as raised:
        given(shop, started(ORDER)).when(cancelled()).nothing_happened()
    assert "+ CancelRequested" in str(raised.value)
    assert "2026" not in str(raised.value)


def test_events_that_did_not_come_are_shown() -> None:
    """In order, among others, or alone."""
    with pytest.raises(AssertionError, match=r"then, among others .*\n    - SagaCompleted\n    \+ SagaStarted"):
        given(shop).when(started(ORDER)).then_among_others(completed())
    with pytest.raises(AssertionError, match=r"\n    - SagaCompleted$"):
        given(shop, started(ORDER), cancelled()).when(cancelled()).then(completed())


@pytest.mark.parametrize(
    ("history", "error", "says"),
    [
        ((answered("note", Done()),), LookupError, "has not been started"),
        ((started(ORDER), started(ORDER)), LookupError, "is started twice"),
        ((started(ORDER), answered("pay", Done())), LookupError, "'pay' was not sent.*sent were: note"),
        ((started(ORDER), answered("note.undo", ok())), LookupError, "'note.undo' was not sent"),
        ((started(ORDER), answered("nope", Done())), LookupError, "has no step 'nope'. Fix: one of note, hold"),
        ((started(ORDER), answered("note", Tell(text="x"))), TypeError, "answered with Done, not with Tell"),
        ((started(ORDER), answered("note", ok())), TypeError, "without a reply"),
        ((cancelled(),), LookupError, "has not been started"),
        ((started(Hold(order="x")),), ValueError, "cannot run on this input"),
    ],
)
def test_a_history_that_cannot_be_says_why(history: tuple[Past, ...], error: type[Exception], says: str) -> None:
    """A mistake of the test is told as one."""
    with pytest.raises(error, match=says):
        given(shop, *history)


@pytest.mark.parametrize("mishap", [lost(Done()), silent()])
def test_here_every_answer_arrives(mishap: Done) -> None:
    """Mishaps belong into `play`."""
    with pytest.raises(TypeError, match="here every answer arrives"):
        answered("note", mishap)


def test_a_field_an_event_does_not_have_is_refused() -> None:
    """A misspelt field would never match."""
    with pytest.raises(TypeError, match=r"StepParked has no field 'reason'. Fix: one of at, cost, path"):
        event(e.StepParked, reason="x")
