"""What the explanation says about the order of compensation is what the core does."""

from collections.abc import Iterable
from random import Random
from typing import Any, TypeAlias

import msgspec
import pytest

from saga import On, Saga, define
from saga.core import inputs as i
from saga.core.outstanding import outstanding
from saga.core.state import Phase, SagaState
from saga.define.explain import explained
from saga.define.undo_order import Undoing, Undone
from tests.builders import Case
from tests.typing import onboarding as c
from tests.unit.define.test_structure import NEW, case_of

Order: TypeAlias = "list[str | list[Order]]"
"""What is undone one after the other; a list in it is undone side by side."""
REPLY = msgspec.json.encode(c.Drafted(body="b", good=True))


def order_of(undo: Iterable[Undoing], state: SagaState, place: str = "") -> Order:
    """The explanation, for the items and turns of one run, without what was not done."""
    found: Order = []
    for one in undo:
        if isinstance(one, Undone):
            path = _at(one.step, place)
            found += [path] if path in state.steps and not state.steps[path].undone else []
            continue
        here = _at(one.block, place)
        inner = one.sequences[0].undo
        if here in state.items:
            found.append([order_of(inner, state, f"{here}[{n}]") for n in range(len(state.items[here]))])
        elif here in state.turns:
            for number in range(state.turns[here].number, 0, -1):
                found += order_of(inner, state, f"{here}#{number}")
        else:
            found.append([order_of(sequence.undo, state, place) for sequence in one.sequences])
    return [one for one in found if one]


def _at(path: str, place: str) -> str:
    return f"{place}/{path.rpartition('/')[2]}" if place and "/" in path else path


def next_ones(order: Order) -> list[str]:
    """What is undone now."""
    match order:
        case []:
            return []
        case [str() as path, *_]:
            return [path]
        case [list() as together, *_]:
            return [path for sequence in together for path in next_ones(_sequence(sequence))]
        case _:
            raise AssertionError(order)


def without(order: Order, path: str) -> Order:
    """What is left when one is undone."""
    first, *rest = order
    if isinstance(first, str):
        return rest if first == path else order
    left = [_sequence(one) for one in first]
    left = [without(one, path) if path in next_ones(one) else one for one in left]
    left = [one for one in left if one]
    return [left, *rest] if left else rest


def _sequence(one: Any) -> Order:
    return one if isinstance(one, list) else [one]


def step(s: Any, name: str) -> None:
    s.step(name, c.Provision(region=name), undo=c.Release(region=name))


def flat(s: Any, _: Any) -> None:
    for name in ("a", "b", "c"):
        step(s, name)


def nested(s: Any, new: Any) -> None:
    step(s, "before")
    with s.parallel("both") as branch:
        with branch("left"):
            step(s, "a")
            with s.when(new.large, name="large") as large:
                step(s, "never")
            with large.otherwise():
                step(s, "b")
            step(s, "c")
        with branch("right"), s.each("seats", new.seats, limit=5):
            step(s, "d")
            step(s, "e")
    step(s, "behind")


def loops(s: Any, new: Any) -> None:
    with s.attempt("try", on=[On.COMPENSATED]), s.each("seats", new.seats, limit=5):
        step(s, "a")
        with s.parallel("both") as branch:
            with branch("left"):
                step(s, "b")
                step(s, "c")
            with branch("right"):
                step(s, "d")
        s.child("never-fails", c.account, c.Hire(name="a"), undo=On.WAIT)
    with s.repeat("again", limit=3) as turn:
        step(s, "e")
        step(s, "f")
        turn.until(s.read("draft", c.Draft(name="a")).good)


def winner(s: Any, _: Any) -> None:
    step(s, "before")
    with s.parallel("race", join=On.ANY) as branch:
        with branch("left"):
            step(s, "a")
            step(s, "b")
        with branch("right"):
            step(s, "c")
            step(s, "d")


def run_to_the_end(case: Case, chance: Random) -> None:
    """Every command is answered, in any order; of the first turn of a loop it is not good enough."""
    while case.state.phase is Phase.RUNNING and "look" not in case.state.requests:
        path = chance.choice(sorted({due.message.path for due in outstanding(case.plan, case.state)}))
        good = not path.startswith("again#1/")
        case.ok(path, REPLY if good else msgspec.json.encode(c.Drafted(body="b", good=False)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("body", [flat, nested, loops, winner])
def test_the_core_undoes_in_the_order_that_is_explained(body: Any, seed: int) -> None:
    """At every moment exactly what the explanation has next is on the wire."""
    chance = Random(seed)

    def written(s: Saga, new: c.NewCustomer) -> None:
        body(s, new)
        s.gate("look", showing=new, roles=["boss"])

    built = define("t", version=1)(written)
    case = case_of(built, input=msgspec.json.encode(NEW))
    run_to_the_end(case, chance)
    look = next(one for one in explained(built.compiled) if one.path == "look")
    order = order_of(look.consequences[0].undo, case.state)
    case.when(i.Cancel(now=case.now, request="r", by="shop", actor=None, reason="r"))
    undone = 0
    while case.state.phase is Phase.COMPENSATING:
        on_wire = sorted(due.message.path for due in outstanding(case.plan, case.state))
        assert on_wire == sorted(next_ones(order))
        path = chance.choice(on_wire)
        case.ok(path, b"null")
        order = without(order, path)
        undone += 1
    assert order == []
    assert undone >= 2
