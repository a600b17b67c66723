"""Sub-sagas that are played: their own runs in the same virtual time, undone with their parent."""

from datetime import timedelta

import msgspec
import pytest

from saga.testing import ROUGH, Script, compensation_coverage, lost, play, played, retry
from tests.unit.testing.hall import PARTY, SUNNY, Paid, hall, hire
from tests.unit.testing.shop import Declined, Done, Ordered, shop

STEPS: dict[str, Script] = {"hold": Done(), "pay": Done()}
TEN = timedelta(minutes=10)


async def test_its_end_is_the_answer() -> None:
    """It runs its own steps; its run can be looked at."""
    run = await play(hall, PARTY, {**SUNNY, "hire": played(hire, STEPS)})
    await run.signal("paid", Paid(by="ada"))
    await run.finish()
    child = run.children["hire"]
    assert (child.status, child.commands, child.state.parent) == ("completed", ("hold", "pay"), run.state.saga)
    assert child.output == Ordered(parcel="d-1")
    await run.approve("review", "bo")
    assert (await run.finish()).status == "completed"
    assert (run.broken_laws(), "hire" in run.standing) == ([], True)


async def test_it_is_undone_as_a_unit() -> None:
    """A refusal afterwards undoes its steps, last first."""
    run = await play(hall, PARTY, {**SUNNY, "hire": played(hire, STEPS)})
    run.operator.cancel()
    await run.finish()
    child = run.children["hire"]
    assert (run.status, child.status, child.undone, child.standing) == (
        "compensated",
        "compensated",
        ("pay", "hold"),
        (),
    )
    assert (run.broken_laws(), run.standing) == ([], ())


async def test_one_that_undid_itself_is_a_refusal() -> None:
    """Nothing of it stands, and its parent is undone too."""
    run = await play(hall, PARTY, {**SUNNY, "hire": played(hire, {**STEPS, "pay": Declined()})})
    assert (run.status, run.children["hire"].because) == ("compensated", "pay: Declined")
    assert run.because.startswith("hire: compensated")


async def test_one_that_runs_is_cancelled_with_its_parent() -> None:
    """It takes time, which is the same for both; an item that fails meanwhile stops it."""
    slow: dict[str, Script] = {**STEPS, "pay": [retry("later", after=TEN), Done()]}
    run = await play(hall, PARTY, {**SUNNY, "hire": played(hire, slow)}, until="nap")
    assert run.elapsed >= TEN
    stopped = await play(hall, PARTY, {**SUNNY, "hire": played(hire, slow), "seats[1]/add": Declined()})
    child = stopped.children["hire"]
    assert (stopped.status, child.status, child.standing) == ("compensated", "compensated", ())
    assert child.because.startswith("cancelled")


async def test_rough_weather_below() -> None:
    """Whatever happens to messages, both ends agree."""
    for seed in range(10):
        answers = {**SUNNY, "hire": lost(played(hire, STEPS))}
        run = await play(hall, PARTY, answers, seed=seed, network=ROUGH)
        run.operator.cancel()
        await run.finish()
        assert (run.status, run.children["hire"].standing, run.broken_laws()) == ("compensated", (), [])


async def test_another_definition_does_not_play_it() -> None:
    """Name and version must be those that the step asks for."""
    with pytest.raises(TypeError, match=r"hire: was sent saga.hire.v1, which saga.shop.v2 does not play"):
        await play(hall, PARTY, {**SUNNY, "hire": played(shop, STEPS)})


async def test_coverage_plays_it_too() -> None:
    """In every story both end, and no law is broken above or below."""
    compiled = msgspec.structs.replace(hall.compiled, deadline=timedelta(hours=30))
    short = msgspec.structs.replace(hall, compiled=compiled)
    one = msgspec.structs.replace(PARTY, seats=["a"])
    coverage = await compensation_coverage(short, one, {**SUNNY, "hire": played(hire, STEPS)})
    assert (coverage.broken, coverage.missing) == ((), ())
    assert coverage.known["hire.undo"] > 0
