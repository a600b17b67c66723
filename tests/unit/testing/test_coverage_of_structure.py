"""`compensation_coverage` over branches, items, turns, waits and people: what it tries, and what it does not."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga.core import compensation
from saga.core.plan import plan_of
from saga.define import On, Saga, define
from saga.testing import Run, Script, compensation_coverage, played
from saga.testing.coverage import not_varied_in
from tests.unit.testing.hall import PARTY, SUNNY, Paid, Party, hall
from tests.unit.testing.shop import Done, Hold, Ordered, Release, Ship


@define("paired", version=1)
def paired(s: Saga, party: Party) -> Ordered:
    """Two steps in every item, and one before all."""
    s.step("before", Hold(order=party.id), undo=Release(order=party.id))
    with s.each("seats", party.seats, limit=5) as seat:
        s.step("add", Hold(order=seat), undo=Release(order=seat))
        s.step("tag", Hold(order=seat), undo=Release(order=seat))
    parcel = s.pivot("ship", Ship(order=party.id))
    return Ordered(parcel=parcel.id)


PAIRED: dict[str, Script] = dict.fromkeys(("before", "seats/add", "seats/tag", "ship"), Done())
TWO = msgspec.structs.replace(PARTY, seats=["a", "b"])
ONE = msgspec.structs.replace(PARTY, seats=["a"])


async def others(run: Run[Any]) -> None:
    """Somebody pays, somebody approves."""
    if run.approvals:
        await run.approve("review", "bo")
    else:
        await run.signal("paid", Paid(by="ada"))


SHORT = msgspec.structs.replace(hall, compiled=msgspec.structs.replace(hall.compiled, deadline=timedelta(hours=30)))
"""The same, with fewer hours in which a step may be asked again and again."""


async def test_items_and_sub_sagas_are_tried_one_by_one() -> None:
    """Every compensation after an ok and after an unknown outcome, in each item; no law is broken anywhere."""
    coverage = await compensation_coverage(SHORT, TWO, SUNNY, meanwhile=others)
    coverage.check()
    assert set(coverage.known) == {"hire.undo", "seats/add.undo"}
    told = {trouble for ending in coverage.endings for trouble in ending.troubles}
    assert {"seats[1]/add answers Declined", "no reply of seats[0]/add arrives", "hire answers compensated"} <= told
    assert "send does not answer at first" in told
    assert coverage.kept == ("log",)


async def test_what_is_not_tried_is_said() -> None:
    """For every block that is more than a step, and in the report."""
    named = [text.partition(":")[0] for text in not_varied_in(plan_of(hall.compiled, hall.hash))]
    assert named == ["both", "hire", "seats", "writing", "nap", "payment", "review"]
    coverage = await compensation_coverage(paired, TWO, PAIRED)
    assert coverage.not_varied == ("seats: other orders of answers. Fix: play(..., network=ROUGH, seed=n) for many n",)
    assert f"    {coverage.not_varied[0]}" in str(coverage).splitlines()


async def test_a_wait_that_nobody_answers_is_no_coverage() -> None:
    """Whatever stands behind it was not tried: the check says where the stories ended, and what to do."""
    coverage = await compensation_coverage(SHORT, ONE, SUNNY)
    assert "  no way past payment" in str(coverage).splitlines()
    assert (coverage.unanswered, coverage.broken) == (("payment",), ())
    with pytest.raises(AssertionError, match=r"no way past payment: nobody answers. Fix: meanwhile=..."):
        coverage.check()


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("undoes in the wrong order", "is undone before"),
        ("undoes all at once", "while the undo of"),
    ],
)
async def test_an_engine_with_a_fault_is_caught(monkeypatch: pytest.MonkeyPatch, fault: str, law: str) -> None:
    """Side by side is right for items and branches, and only for those."""
    (await compensation_coverage(paired, TWO, PAIRED)).check()
    if fault == "undoes in the wrong order":
        monkeypatch.setattr(compensation, "last_first", lambda blocks: blocks)
    else:
        monkeypatch.setattr(compensation, "_is_under_way", lambda *_: False)
        right = compensation.needs_undo
        monkeypatch.setattr(
            compensation,
            "needs_undo",
            lambda step, current: right(step, current) and current is not None and current.undo is None,
        )
    coverage = await compensation_coverage(paired, TWO, PAIRED)
    assert any(law in broken for ending in coverage.endings for broken in ending.broken)


@define("room", version=1)
def room(s: Saga, party: Party) -> Ordered:
    """People decide in it, and it goes on afterwards."""
    s.step("hold", Hold(order=party.id), undo=Release(order=party.id))
    s.gate("ok", showing=party, roles=["boss"])
    held = s.step("tag", Hold(order=party.id), undo=Release(order=party.id))
    return Ordered(parcel=held.id)


@define("feast", version=1)
def feast(s: Saga, party: Party) -> Ordered:
    """Its sub-saga waits for people, and it waits for nothing but its sub-saga; then for a signal."""
    s.child("room", room, party, undo=On.CANCEL)
    s.signal("payment", Paid, name="paid")
    parcel = s.pivot("ship", Ship(order=party.id))
    return Ordered(parcel=parcel.id)


FEAST: dict[str, Script] = {"room": played(room, {"hold": Done(), "tag": Done()}), "ship": Done()}


async def test_people_in_a_sub_saga_are_waited_for() -> None:
    """Those who answer are called for what it waits for, and what they do there counts."""

    async def others_below(run: Run[Any]) -> None:
        below = run.children["room"]
        if below.approvals:
            await below.approve("ok", "bo")
        else:
            await run.signal("paid", Paid(by="ada"))

    coverage = await compensation_coverage(feast, PARTY, FEAST, meanwhile=others_below)
    coverage.check()
    assert coverage.known["room.undo"] > 0


async def test_a_wait_below_that_nobody_answers_is_told_before_what_it_hides() -> None:
    """With the sub-saga it is in; the undo that no story reached comes after it."""
    coverage = await compensation_coverage(feast, PARTY, FEAST)
    assert coverage.unanswered == ("ok of room",)
    assert coverage.endings[0].needs == ("room: ok: boss may decide",)
    with pytest.raises(AssertionError, match=r"problems\n  no way past ok of room: nobody answers. Fix: meanwhile=..."):
        coverage.check()


@define("crowded", version=1)
def crowded(s: Saga, party: Party) -> Ordered:
    """A step and a sub-saga at work beside a wait for a signal, and nothing afterwards."""
    with s.parallel("both") as branch:
        with branch("paid"):
            s.signal("payment", Paid, name="paid")
        with branch("held"):
            held = s.step("hold", Hold(order=party.id), undo=Release(order=party.id))
        with branch("lent"):
            s.child("room", room, party, undo=On.CANCEL)
    return Ordered(parcel=held.id)


async def test_nobody_speaks_to_a_paused_saga_again_and_again() -> None:
    """It keeps what it is sent and consumes nothing; whoever is called while it waits would send for ever."""

    async def pays_first(run: Run[Any]) -> None:
        if any(wait.kind == "signal" for wait in run.waits):
            await run.signal("paid", Paid(by="ada"))
        else:
            await run.children["room"].approve("ok", "bo")

    answers: dict[str, Script] = {"hold": Done(), "room": FEAST["room"]}
    coverage = await compensation_coverage(crowded, PARTY, answers, meanwhile=pays_first)
    assert (coverage.broken, coverage.unanswered, coverage.missing) == ((), (), ())
