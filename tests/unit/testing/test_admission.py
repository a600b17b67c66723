"""What the kit says about a start and a reply is what the engine and the library of participants say."""

from typing import Any

import msgspec
import pytest

from saga.core import events as e
from saga.core.limits import BODY_BYTES_MAX
from saga.define import Saga, define
from saga.testing import NotPossible, Script, compensation_coverage, event, failed, given, play, played, started
from saga.testing import answered as hears
from saga.wire.screen import JSON_DEPTH_MAX
from tests.unit.testing.shop import ORDER, SUNNY, Declined, Done, Hold, Order, Ordered, Release, Ship, shop

HUGE = "x" * BODY_BYTES_MAX


@pytest.mark.parametrize(
    ("order", "key", "says"),
    [
        (Order(id="", amount=7), None, "invalid-payload: the business key in the input has 0 characters"),
        (Order(id="x" * 201, amount=7), None, "invalid-payload: the business key in the input has 201 characters"),
        (ORDER, "x" * 201, "bad-header: saga-key is 'x"),
        (Order(id=HUGE, amount=7), None, "refused-by-broker: the body has 262164 bytes, the limit is 262144. Fix: "),
        (Order(id="a\0", amount=7), None, "nul: "),
        (Hold(order="x"), None, "reads-mismatch: the saga cannot run on this input: input.amount: "),
    ],
    ids=["no key", "long key", "long key of the start", "too large", "nul", "another contract"],
)
async def test_a_start_that_the_engine_refuses_starts_nothing(order: Any, key: str | None, says: str) -> None:
    """With the engine's code and words, in a whole run and in one decision."""
    with pytest.raises(ValueError, match=f"^shop v2 is not started: {says}"):
        await play(shop, order, SUNNY, key=key)
    with pytest.raises(ValueError, match=f"^shop v2 is not started: {says}"):
        given(shop, started(order, key=key))


async def test_an_empty_key_of_a_start_is_none() -> None:
    """As on the wire: the one in the input counts."""
    assert (await play(shop, ORDER, SUNNY, key="")).state.start_key == "k:o-1"


@define("vetted", version=1)
def vetted(s: Saga, order: Order) -> Ordered:
    """Whoever asked may not approve, and only a gateway knows who asked."""
    s.step("hold", Hold(order=order.id), undo=Release(order=order.id))
    s.gate("review", showing=order, roles=["risk"], exclude_requester=True)
    parcel = s.pivot("ship", Ship(order=order.id))
    return Ordered(parcel=parcel.id)


VETTED: dict[str, Script] = {"hold": Done(), "ship": Done()}


async def test_a_start_that_names_nobody_is_refused_where_somebody_is_excluded() -> None:
    """As the engine does: at the gate it would be too late."""
    with pytest.raises(ValueError, match="no-requester: review of vetted excludes whoever asks for the saga"):
        await play(vetted, ORDER, VETTED)
    given(vetted, started(ORDER, actor="ann"))


async def test_a_gateway_says_who_asked() -> None:
    """That person may not approve, another one may."""
    run = await play(vetted, ORDER, VETTED, actor="ann")
    with pytest.raises(NotPossible, match="requester: "):
        await run.approve("review", "ann")
    await run.approve("review", "bo")
    assert ((await run.finish()).status, run.state.requester) == ("completed", "ann")


async def test_coverage_has_an_actor_too() -> None:
    """Or it would try nothing of such a saga."""

    async def approve(run: Any) -> None:
        await run.approve("review", "bo")

    (await compensation_coverage(vetted, ORDER, VETTED, meanwhile=approve, actor="ann")).check()


@define("careless", version=1)
def careless(s: Saga, order: Order) -> Ordered:
    """Its child needs an actor."""
    sent = s.pivot_child("vet", vetted, order)
    return Ordered(parcel=sent.parcel)


async def test_a_sub_saga_that_is_refused_stands_before_an_operator() -> None:
    """Its parent hears what the engine answers; with an actor above, it begins."""
    run = await play(careless, ORDER, {"vet": played(vetted, VETTED)})
    [wait] = run.waits
    assert (run.status, run.children) == ("parked", {})
    assert wait.text.startswith("invalid-payload: vet answered refused/invalid-payload: no-requester: review of vetted")
    begun = await play(careless, ORDER, {"vet": played(vetted, VETTED)}, actor="ann")
    assert begun.children["vet"].state.requester == "ann"


@pytest.mark.parametrize(
    ("step", "answer", "stands"),
    [
        ("hold", Done(id=HUGE), False),
        ("hold", Declined(reason=HUGE), False),
        ("pay", Done(id=HUGE), True),
        ("pay", Declined(reason=HUGE), False),
        ("ship", Done(id=HUGE), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else str(value),
)
async def test_a_reply_that_no_wire_takes_parks_its_step(step: str, answer: msgspec.Struct, stands: bool) -> None:
    """It settles nothing: what its transaction did is rolled back, what a provider did stands."""
    run = await play(shop, ORDER, {**SUNNY, step: answer})
    [wait] = run.waits
    assert (run.status, wait.path) == ("parked", step)
    assert "refused/too-large: the reply to " in wait.text
    assert (step in run.standing) is stands
    assert run.broken_laws() == []


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    return [] if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize("body", ["a\0", nested(JSON_DEPTH_MAX)], ids=["nul", "too deep"])
async def test_a_reply_that_cannot_be_read_is_no_answer(body: Any) -> None:
    """The library says `retry`, so the step is exhausted and undone."""
    run = await play(shop, ORDER, {**SUNNY, "pay": Done(id=body)})
    assert (run.status, run.attempts("pay"), run.undone) == ("compensated", 3, ("pay", "hold"))


@pytest.mark.parametrize("answer", [Done(id=HUGE), failed(Declined(reason=HUGE))], ids=["reply", "failure"])
def test_such_a_reply_parks_in_one_decision_too(answer: msgspec.Struct) -> None:
    """`answered` hands it to the same library."""
    case = given(shop, started(ORDER), hears("note", Done()))
    case.when(hears("hold", answer)).then(event(e.StepParked, path="hold", code=e.ParkCode.TOO_LARGE))
