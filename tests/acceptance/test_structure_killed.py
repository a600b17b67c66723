"""kill -9 in every phase of a saga with a failing branch, a map, a nested block and sub-sagas: undone once, in order.

The long run is `python -m tests.acceptance.structure_kills`.
"""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.structure_kills import KINDS, Yard, run
from tests.acceptance.structure_law import DECLINE, DO, UNDO, Line, unfinished, wrong
from tests.servers import PostgresServer, RabbitServer

SECONDS = 75.0
"""For each kind of process, at most; a run that has hit every phase is over."""
FORWARD = (
    "reserve", "access/pack", "access/label", "charge", "items[0]/mark", "items[1]/mark", "first", "slowly/begin",
    "second", "try", "items[0]/stamp",
)  # fmt: skip
IN_FLIGHT = ("items[1]/stamp", "held", "slowly/hold")
BACKWARD = (
    "held", "slowly/hold", "slowly/begin", "items[1]/stamp", "try", "first", "items[1]/mark", "items[0]/stamp",
    "second", "items[0]/mark", "charge", "access/label", "access/pack", "reserve",
)  # fmt: skip


@pytest.mark.timeout(400)
def test_killed_in_every_phase(postgres: PostgresServer, rabbit: RabbitServer, tmp_path: Path) -> None:
    """Orchestrators in one round, participants in another: judged from the service's ledger."""
    vhost = rabbit.fresh_vhost()
    yard = Yard(tmp_path, postgres, rabbit.url_of(vhost))
    verdict = asyncio.run(run(yard, times=1, seconds=SECONDS))
    rabbit.release_vhost(vhost)
    print(verdict.counts)
    assert verdict.problems == ()
    assert verdict.missed(1) == {}
    assert len(verdict.phases) >= 70
    assert all(verdict.counts[f"{kind}s killed"] >= 10 for kind in KINDS)
    assert verdict.counts["failed with work in flight"] >= 3


# ------------------------------------------------------------------------------------------------------ who judges it


def line(what: str, step: str) -> Line:
    """A line under the key that belongs to it."""
    return Line(step, what, f"{what}-{step}")


def written(
    forward: tuple[str, ...] = FORWARD, late: tuple[str, ...] = IN_FLIGHT, backward: tuple[str, ...] = BACKWARD
) -> list[Line]:
    """A ledger."""
    done = [line(DO, step) for step in forward] + [line(DECLINE, "fail")] + [line(DO, step) for step in late]
    return done + [line(UNDO, step) for step in backward]


def swapped(one: str, other: str) -> tuple[str, ...]:
    """The way back, with two steps in each other's place."""
    turn = {one: other, other: one}
    return tuple(turn.get(step, step) for step in BACKWARD)


def without(*steps: str) -> tuple[str, ...]:
    """The way back, with something forgotten."""
    return tuple(step for step in BACKWARD if step not in steps)


def test_a_ledger_as_it_should_be() -> None:
    """Also one in which what was in flight never happened, and one in which nothing but the beginning did."""
    assert wrong(written()) == []
    assert unfinished(written()) == 3
    assert wrong(written(late=(), backward=without(*IN_FLIGHT))) == []
    assert wrong(written(("reserve",), (), ("reserve",))) == []
    assert wrong(written(backward=swapped("items[1]/mark", "try"))) == []


@pytest.mark.parametrize(
    ("backward", "said"),
    [
        (without("held"), "held was done and not undone"),
        (without("access/pack", "access/label"), "access/label was done and not undone"),
        ((*BACKWARD, "reserve"), "'undo reserve' happened 2 times"),
        ((*BACKWARD, "never"), "never was undone and never done"),
        (swapped("reserve", "charge"), "reserve was undone before charge"),
        (swapped("access/pack", "access/label"), "access/pack was undone before access/label"),
        (swapped("access/pack", "reserve"), "reserve was undone before access/pack"),
        (swapped("charge", "access/label"), "access/label was undone before charge"),
        (swapped("charge", "second"), "charge was undone before second"),
        (swapped("items[0]/stamp", "items[0]/mark"), "items[0]/mark was undone before items[0]/stamp"),
        (swapped("held", "first"), "first was undone before held"),
        (swapped("slowly/begin", "slowly/hold"), "slowly/begin was undone before slowly/hold"),
    ],
)
def test_a_wrong_way_back_is_seen(backward: tuple[str, ...], said: str) -> None:
    """Forgotten, twice, never done, inside a sequence, inside a sub-saga, a sub-saga torn apart, across a block."""
    assert said in wrong(written(backward=backward))


def test_an_effect_under_one_key_twice_is_seen() -> None:
    """Forward too, and also when it says that it is another step."""
    assert "'do charge' happened 2 times" in wrong([line(DO, "charge"), *written()])
    twin = Line("second", DO, "do-first")
    assert "'do' happened 2 times under the key do-first" in wrong(
        [twin if x == line(DO, "second") else x for x in written()]
    )


def test_what_happens_before_its_turn_is_seen() -> None:
    """A step in front of the one it waits for; a compensation in front of its action."""
    forward = ("charge", "reserve", *FORWARD[1:3], *FORWARD[4:])
    assert "charge was done before reserve" in wrong(written(forward=forward))
    early = [each for each in written() if each != line(DO, "held")]
    assert "held was undone before it was done" in wrong([*early, line(DO, "held")])


def test_undoing_the_finished_before_the_unfinished_is_seen() -> None:
    """What is in flight comes first: it happens here when something that was done is undone already."""
    late = [each for each in written() if each not in (line(DO, "slowly/hold"), line(UNDO, "items[0]/mark"))]
    at = late.index(line(UNDO, "slowly/hold"))
    torn = [*late[:at], line(UNDO, "items[0]/mark"), line(DO, "slowly/hold"), *late[at:]]
    assert "items[0]/mark was undone, and slowly/hold had not happened yet" in wrong(torn)
