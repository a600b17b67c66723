"""The whole product of phases and inputs: every pair is in the table, and `decide` answers it without raising."""

from collections.abc import Callable

import pytest

from saga.core import inputs as i
from saga.core.decide import decide
from saga.core.definition import StepKind
from saga.core.events import Choice
from saga.core.evolve import fold
from saga.core.messages import Kind, Outcome
from saga.core.state import TERMINAL, Phase
from saga.core.transitions import TABLE, Rule
from tests.builders import Case, plan, reply, start, step

INPUTS: tuple[type[i.Input], ...] = i.Input.__args__


def running() -> Case:
    return Case(plan(step("reserve"), step("charge"), step("book", StepKind.PIVOT)))


def compensating() -> Case:
    case = running()
    case.ok("reserve")
    case.failed("charge")
    return case


def completed() -> Case:
    case = running()
    for path in ("reserve", "charge", "book"):
        case.ok(path)
    return case


def compensated() -> Case:
    case = compensating()
    case.ok("reserve")
    return case


def abandoned() -> Case:
    case = running()
    case.when(i.Abandon(now=case.now, actor="olga", reason="enough"))
    return case


CASES: dict[Phase, Callable[[], Case]] = {
    Phase.RUNNING: running,
    Phase.COMPENSATING: compensating,
    Phase.COMPLETED: completed,
    Phase.COMPENSATED: compensated,
    Phase.ABANDONED: abandoned,
}


def given(kind: type[i.Input], case: Case) -> i.Input:
    """An input of this kind that could reach the saga now, or could have reached it before."""
    command = running().sent("reserve")
    attempt = {"path": "reserve", "kind": Kind.ACTION, "execution": 1, "attempt": 1}
    texts = {"actor": "olga", "reason": "r"}
    made: dict[type[i.Input], Callable[[], i.Input]] = {
        i.Reply: lambda: i.Reply(now=case.now, message=reply(command, Outcome.OK, body=b'{"id":"x"}')),
        i.Tick: lambda: i.Tick(now=case.now, dispatched_version=0),
        i.Undelivered: lambda: i.Undelivered(now=case.now, detail="no queue", **attempt),  # type: ignore[arg-type]  # as named
        i.Delivered: lambda: i.Delivered(now=case.now, **attempt),  # type: ignore[arg-type]  # as named
        i.Cancel: lambda: i.Cancel(now=case.now, request="c", by="shop", actor=None, reason="r"),
        i.Abandon: lambda: i.Abandon(now=case.now, **texts),
        i.Pause: lambda: i.Pause(now=case.now, **texts),
        i.Resume: lambda: i.Resume(now=case.now, **texts),
        i.Resolve: lambda: i.Resolve(now=case.now, path="charge", verdict=i.Verdict.RETRY, actor="olga", reason="r"),
        i.SignalGiven: lambda: i.SignalGiven(now=case.now, signal="paid", message_id="s", body=b"{}"),
        i.DecisionGiven: lambda: i.DecisionGiven(
            now=case.now,
            path="review",
            choice=Choice.APPROVE,
            approver="olga",
            by="desk",
            roles=frozenset({"editor"}),
            request="d",
            digest="",
        ),
        i.ParentAsks: lambda: i.ParentAsks(now=case.now, **attempt),  # type: ignore[arg-type]  # as named
    }
    return made[kind]()


def test_the_table_is_total() -> None:
    """Every phase answers every input but Start, and only where nothing is yet a saga begins."""
    assert set(TABLE) == {None, *Phase}
    assert TABLE[None] == {i.Start: Rule.BEGIN}
    for phase in Phase:
        assert set(TABLE[phase]) == set(INPUTS) - {i.Start}


def test_a_second_start_is_illegal_by_construction() -> None:
    """The shell never hands a Start to a saga that exists."""
    case = running()
    with pytest.raises(KeyError):
        decide(case.plan, case.state, start(case.plan))


@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind is not i.Start], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("phase", list(Phase))
def test_every_pair_is_decided(phase: Phase, kind: type[i.Input]) -> None:
    """No pair raises; what follows folds to the decided state; terminal phases stay."""
    case = CASES[phase]()
    assert case.state.phase is phase
    case.when(given(kind, case))
    assert fold(case.commits) == case.state
    if phase in TERMINAL:
        assert case.state.phase is phase


@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind is not i.Start], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("phase", list(Phase))
def test_the_same_input_again_changes_nothing_more(phase: Phase, kind: type[i.Input]) -> None:
    """Delivery is at least once: the second copy of an input is no event."""
    case = CASES[phase]()
    again = given(kind, case)
    case.when(again)
    if case.state.phase not in TERMINAL or phase in TERMINAL:
        assert case.when(again) == ()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase in TERMINAL])
def test_terminal_phases_ignore_everything_but_answers(phase: Phase) -> None:
    """In a terminal phase people and clocks change nothing."""
    for kind in set(INPUTS) - {i.Start, i.Reply}:
        assert CASES[phase]().when(given(kind, CASES[phase]())) == ()
