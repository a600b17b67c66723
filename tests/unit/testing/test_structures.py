"""`play` and `given`: items, turns, waits, signals, approvals and sub-sagas in virtual time."""

from datetime import timedelta
from typing import Any

import pytest

from saga.core import events as e
from saga.define import Saga, define, no_undo
from saga.testing import (
    ROUGH,
    NotPossible,
    Run,
    Script,
    answered,
    approved,
    begin,
    completed,
    event,
    failed,
    given,
    issued,
    ok,
    play,
    rejected,
    signalled,
    silent,
    started,
    succeeded,
    time_passed,
)
from tests.unit.testing.hall import FINE, PARTY, SUNNY, Drafted, Held, Invite, Paid, Sent, hall
from tests.unit.testing.shop import ORDER, Declined, Done, Hold, Order, Release

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADA = Paid(by="ada")


async def at_review(**answers: Script) -> Run[Held]:
    """Paid, and an invitation to be approved."""
    run = await play(hall, PARTY, {**SUNNY, **answers})
    await run.signal("paid", ADA)
    return await run.finish()


async def test_the_whole_way_takes_no_time() -> None:
    """Sleeping jumps; what waits for others is at rest and says so; three days of thinking are one call."""
    run = await play(hall, PARTY, SUNNY)
    assert ([wait.kind for wait in run.waits], run.elapsed) == (["signal"], DAY)
    await run.signal("paid", ADA)
    await run.finish()
    assert [(wait.kind, wait.path) for wait in run.waits] == [("approval", "review")]
    await run.advance(3 * DAY)
    await run.approve("review", "bo")
    await run.finish()
    assert (run.status, run.elapsed) == ("completed", 4 * DAY)
    assert run.output == Held(places=["s", "s", "s"], paid_by="ada", approved_by="bo")
    assert run.commands[:4] == ("hire", "seats[0]/add", "seats[1]/add", "seats[2]/add")
    assert run.broken_laws() == []


async def test_one_item_is_answered_otherwise() -> None:
    """Its place in the run says which; the others are answered by their step, and are undone."""
    run = await play(hall, PARTY, {**SUNNY, "seats[1]/add": Declined()})
    assert (run.status, run.because) == ("compensated", "seats[1]/add: Declined")
    assert set(run.undone) == {"hire", "seats[0]/add", "seats[2]/add"}
    assert run.sent(Release) == [Release(order="c"), Release(order="a")]
    assert (run.standing, run.broken_laws()) == ((), [])


async def test_the_items_take_a_list_of_answers_one_after_the_other() -> None:
    """And a function sees which item it is asked for."""
    run = await play(hall, PARTY, {**SUNNY, "seats/add": [Done(id="1"), Done(id="2"), Done(id="3")]}, until="nap")
    assert [run.state.steps[f"seats[{n}]/add"].reply for n in range(3)] == [b'{"id":"%d"}' % n for n in (1, 2, 3)]
    called = await play(hall, PARTY, {**SUNNY, "seats/add": lambda sent: Done(id=sent.as_a(Hold).order)}, until="nap")
    assert called.state.steps["seats[2]/add"].reply == b'{"id":"c"}'


async def test_turns_pause_in_virtual_time() -> None:
    """Each has its place; a turn that brings nothing good is followed by the next."""
    bad = Drafted(text="no", good=False)
    run = await play(hall, PARTY, {**SUNNY, "writing/draft": [bad, FINE]})
    assert (run.attempts("writing#2/draft"), run.elapsed) == (1, HOUR + DAY)
    given_up = await play(hall, PARTY, {**SUNNY, "writing/draft": bad, "writing#1/draft": FINE})
    assert given_up.attempts("writing#2/draft") == 0
    assert (await play(hall, PARTY, {**SUNNY, "writing/draft": bad})).because.startswith("writing: 3 turns")


async def test_it_stops_where_it_is_told() -> None:
    """At the command of an item, or at a wait."""
    run = await play(hall, PARTY, SUNNY, until="seats[2]/add")
    assert run.elapsed == timedelta(0)
    await run.until("nap")
    assert [wait.kind for wait in run.waits] == ["timer"]
    await run.until("payment")
    assert run.elapsed == DAY


async def test_a_signal_counts_once_and_may_come_early() -> None:
    """It is kept until the saga waits for it; an unknown one is refused in the engine's words."""
    run = begin(hall, PARTY, SUNNY)
    await run.signal("paid", ADA, message_id="m")
    await run.signal("paid", Paid(by="bob"), message_id="m")
    await run.finish()
    assert list(run.approvals) == ["review"]
    with pytest.raises(NotPossible, match="unknown-signal: hall waits for no signal 'payed'"):
        await run.signal("payed", ADA)
    with pytest.raises(NotPossible, match="reads-mismatch"):
        await run.signal("paid", Sent(id="x"))


async def test_a_signal_that_never_comes_is_a_deadline() -> None:
    """The wait has five days; then everything is undone."""
    run = await play(hall, PARTY, SUNNY)
    await run.advance(5 * DAY)
    await run.finish()
    assert (run.status, run.because) == ("compensated", "payment: the signal paid did not come in time")
    assert (set(run.undone), run.broken_laws()) == ({"hire", *(f"seats[{n}]/add" for n in range(3))}, [])


async def test_an_approver_may_edit_and_what_is_sent_is_what_was_approved() -> None:
    """Only what the definition lets be edited; the fields nobody touched stay."""
    run = await at_review()
    with pytest.raises(NotPossible, match="not-editable: sendTo may not be changed; editable are: body"):
        await run.approve("review", edit=Invite(to="q", body="finer"))
    await run.approve("review", "bo", edit=Invite(to="p-1", body="finer"))
    await run.finish()
    assert (run.status, run.sent(Invite)) == ("completed", [Invite(to="p-1", body="finer")])


async def test_who_may_not_decide_is_told_why() -> None:
    """In the words of the engine; nothing is recorded."""
    run = await at_review()
    version = run.state.version
    with pytest.raises(NotPossible, match="not-allowed: deciding needs the role editor; eve has: cook"):
        await run.approve("review", "eve", roles={"cook"})
    with pytest.raises(NotPossible, match="unknown-approval"):
        await run.reject("payment")
    assert run.state.version == version


async def test_a_refusal_undoes() -> None:
    """The reason is the person's."""
    run = await at_review()
    await run.reject("review", "bo", reason="too dear")
    await run.finish()
    assert (run.status, run.standing, run.broken_laws()) == ("compensated", (), [])
    assert "bo said no: too dear" in run.because


async def test_silence_asks_others_and_then_undoes() -> None:
    """Four days, and four more: time alone moves it."""
    run = await at_review()
    await run.advance(4 * DAY)
    assert run.approvals["review"].roles == ("editor", "head")
    await run.advance(4 * DAY)
    assert (run.status, run.approvals) == ("compensated", {})


async def test_a_sub_saga_may_be_a_script() -> None:
    """Its end is an answer as any other; one that undid itself is a refusal."""
    run = await play(hall, PARTY, {**SUNNY, "hire": failed("compensated")})
    assert (run.status, run.because) == ("compensated", "hire: compensated")
    slow = await play(hall, PARTY, {**SUNNY, "hire": silent()}, until="seats[2]/add")
    await slow.advance(HOUR)
    assert [(wait.kind, wait.path) for wait in slow.waits] == [("child", "hire")]


@define("quiet", version=1)
def quiet(s: Saga, order: Order) -> None:
    """Returns nothing."""
    s.step("hold", Hold(order=order.id), undo=Release(order=order.id))


@define("asks", version=1)
def asks(s: Saga, order: Order) -> None:
    """Has a sub-saga that returns nothing."""
    s.child("quiet", quiet, order, undo=no_undo("it may stay"))


async def test_a_sub_saga_without_an_output_just_ends() -> None:
    """`ok()` says all there is."""
    assert (await play(asks, ORDER, {"quiet": ok()})).status == "completed"
    given(asks, started(ORDER)).when(answered("quiet", ok())).then_among_others(completed())


async def test_rough_weather_breaks_no_law() -> None:
    """Branches and items answer in any order, late, twice or never at first."""
    for seed in range(15):
        run = await play(hall, PARTY, SUNNY, seed=seed, network=ROUGH)
        await run.signal("paid", ADA)
        await run.finish()
        if run.approvals:
            await run.reject("review")
        await run.finish()
        assert (run.broken_laws(), run.status) == ([], "compensated")


@pytest.mark.parametrize("name", ["seats/add[1]", "seats#1/add", "writing[1]/draft", "seat[1]/add", "add", "review"])
async def test_a_place_that_cannot_be_is_no_step(name: str) -> None:
    """Items have an index, turns a number, and both stand where the block is."""
    answers: dict[str, Any] = {**SUNNY, name: Done()}
    with pytest.raises(LookupError, match="hall has no step"):
        await play(hall, PARTY, answers)


AT_NAP = (
    started(PARTY),
    answered("hire", SUNNY["hire"]),  # type: ignore[arg-type]  # one reply
    *(answered(f"seats[{n}]/add", Done(id=str(n))) for n in range(3)),
    answered("writing#1/draft", FINE),
)


def test_one_decision_at_a_time_by_place() -> None:
    """Items, turns, time, a signal and a person, as happenings of `given`."""
    at_start = given(hall, started(PARTY)).when(answered("seats[1]/add", Done()))
    at_start.then(succeeded("seats[1]/add")).then_state(status="running", waits_for=["reply", "child"])
    paid = given(hall, *AT_NAP, time_passed(DAY)).when(signalled("paid", ADA))
    paid.then_among_others(event(e.SignalConsumed, path="payment"), event(e.ApprovalRequested, path="review"))
    paid.then_state(waits_for=["approval"]).when(approved("review", "bo", edit=Invite(to="p-1", body="x"))).then(
        event(e.ApprovalDecided, approver="bo"), event(e.ApprovalClosed), issued("log")
    ).when(answered("log", Done())).then_among_others(issued("send", Invite(to="p-1", body="x")))


def test_a_refusal_and_a_mistake_as_happenings() -> None:
    """What people are told is what the test reads."""
    at_review = (*AT_NAP, time_passed(DAY), signalled("paid", ADA))
    given(hall, *at_review).when(rejected("review", "bo", reason="no")).then_among_others(
        event(e.CompensationStarted, because="rejected"), issued("seats[0]/add.undo", Release(order="a"))
    )
    with pytest.raises(NotPossible, match="unknown-approval"):
        given(hall, *AT_NAP).when(approved("review"))
    with pytest.raises(LookupError, match=r"'seats\[9\]/add' was not sent.*seats\[0\]/add"):
        given(hall, *AT_NAP).when(answered("seats[9]/add", Done()))
