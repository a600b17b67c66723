"""Laws of metrics, for any history that inputs in any order can lead to: tallies equal counts in the history."""

from collections import Counter
from typing import Any

from hypothesis import given

from saga.core import events as e
from saga.core.address import template
from saga.core.metrics import catalogue as m
from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.tally import Labels
from saga.core.plan import Plan
from saga.cost import added
from tests.metrics import counted, tallied
from tests.property.test_core_laws import PLANS, RELAXED, SCRIPTS, Played, played


def events(case: Played) -> list[e.AnyEvent]:
    return [event for commit in case.commits for event in commit]


def by_step(case: Played, *kinds: type[Any]) -> Counter[Labels]:
    """Events of these kinds by what a step is labelled."""
    return Counter(
        (case.plan.definition.name, template(event.path), event.kind.value)
        for event in events(case)
        if isinstance(event, kinds)
    )


def without(found: dict[Labels, float], labels: int) -> Counter[Labels]:
    """Summed over the labels behind."""
    summed: Counter[Labels] = Counter()
    for key, value in found.items():
        summed[key[:labels]] += int(value)
    return summed


@given(PLANS, SCRIPTS)
@RELAXED
def test_tallies_equal_counts_in_the_history(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Counted another way, from the plain list of events."""
    case = played(of, script)
    found = tallied(of, case.commits)
    recorded = Counter(type(event).__name__ for event in events(case))
    assert without(counted(found, m.ATTEMPTS), 3) == by_step(case, e.CommandIssued, e.CommandRepeated)
    assert without(counted(found, m.PARKED), 3) == by_step(case, e.StepParked)
    assert without(counted(found, m.RELEASED), 3) == by_step(case, e.StepReleased)
    assert counted(found, m.LATE) == by_step(case, e.LateReply)
    assert counted(found, m.CONTRADICTORY) == by_step(case, e.ContradictoryReply)
    assert sum(counted(found, m.STARTED).values()) == recorded["SagaStarted"] == 1
    ends = recorded["SagaCompleted"] + recorded["SagaCompensated"] + recorded["SagaAbandoned"]
    assert sum(counted(found, m.ENDED).values()) == sum(counted(found, m.DURATION).values()) == ends
    assert sum(counted(found, m.COMPENSATING).values()) == recorded["CompensationStarted"]


@given(PLANS, SCRIPTS)
@RELAXED
def test_costs_are_counted_as_they_are_recorded(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """By unit, the sum of the history; and how many could not be read."""
    case = played(of, script)
    found = tallied(of, case.commits)
    told = [event.cost for event in events(case) if isinstance(event, e.Costly) and event.cost is not None]
    counts = Counter[str]()
    for labels, value in counted(found, m.COST).items():
        counts[labels[-1]] += round(value * 100)
    assert counts == {unit: round(amount * 100) for unit, amount in added(told).items()}
    assert sum(counted(found, m.COST_UNREADABLE).values()) == told.count({})


@given(PLANS, SCRIPTS)
@RELAXED
def test_answers_are_timed_once_each(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Every definite answer of a participant, and no word of an operator."""
    case = played(of, script)
    timed = without(counted(tallied(of, case.commits), m.STEP_DURATION), 3)
    answered: Counter[Labels] = Counter()
    for event in events(case):
        if isinstance(event, e.StepSucceeded | e.StepFailed) and event.attempt:
            answered[of.definition.name, template(event.path), "action"] += 1
        elif isinstance(event, e.CompensationFailed) or (isinstance(event, e.CompensationSucceeded) and event.attempt):
            answered[of.definition.name, template(event.path), "compensation"] += 1
    assert timed == answered


@given(PLANS, SCRIPTS)
@RELAXED
def test_labels_come_from_the_definition(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """No label value that is not a name of the definition or a short word."""
    case = played(of, script)
    paths = {*of.blocks, "output"}
    for reading in tallied(of, case.commits).read():
        assert reading.metric in METRICS
        for point in reading.points:
            labels = dict(zip(reading.metric.labels, point.labels, strict=True))
            assert labels.get("step", "output") in paths
            assert labels.get("definition", of.definition.name) == of.definition.name
            assert not any(case.state.saga in value for value in point.labels)
