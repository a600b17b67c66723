"""Tallies as tests look at them: values by metric and label set."""

from collections.abc import Iterable

from saga.core import events as e
from saga.core.evolve import evolve_commit
from saga.core.metrics.fold import count
from saga.core.metrics.shape import Metric
from saga.core.metrics.tally import Labels, Point, Tallies
from saga.core.plan import Plan
from saga.core.state import SagaState


def tallied(of: Plan, commits: Iterable[tuple[e.AnyEvent, ...]]) -> Tallies:
    """A whole history, counted commit by commit."""
    tallies = Tallies()
    state: SagaState | None = None
    for commit in commits:
        before, state = state, evolve_commit(state, commit)
        count(tallies, of, before, state, commit)
    return tallies


def points(tallies: Tallies, metric: Metric) -> dict[Labels, Point]:
    """What a reader finds of one metric."""
    found = [reading.points for reading in tallies.read() if reading.metric is metric]
    return {point.labels: point for points in found for point in points}


def counted(tallies: Tallies, metric: Metric) -> dict[Labels, float]:
    """Of a counter or gauge, the value; of a histogram, how much was observed."""
    return {
        labels: sum(point.counts) if point.counts else point.value for labels, point in points(tallies, metric).items()
    }
