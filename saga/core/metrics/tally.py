"""Tallies: what was counted so far in one process, as numbers by label set. Bounded in memory, cheap to add to.

Adding is for one thread. Reading is for any: it copies what it finds, so a histogram may be one observation ahead of
its own sum.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import COST_UNITS_MAX, OTHER, Metric, MetricKind

Labels = tuple[str, ...]
"""Values, in the order of the metric's labels."""
Gauge = Callable[[], Mapping[Labels, float]]
"""What a gauge shows now, by label set. Called from any thread: it must only read."""

NONE: Final[Labels] = ()


class Point(msgspec.Struct, frozen=True):
    """One label set of a metric and its value."""

    labels: Labels
    value: float
    """Of a histogram: the sum of what was observed."""
    counts: tuple[int, ...] = ()
    """Of a histogram: observations by bucket; the last one is of what is above every bound."""


class Reading(msgspec.Struct, frozen=True):
    """A metric with everything that was counted of it."""

    metric: Metric
    points: tuple[Point, ...]


class Tallies:
    """Every counter, histogram and gauge of a process."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}
        self._gauges: dict[str, list[Gauge]] = {}
        self._cost_units: set[str] = set()
        for metric in METRICS:
            if metric.kind is MetricKind.COUNTER:
                self._counters[metric.name] = {} if metric.labels else {NONE: 0.0}
            elif metric.kind is MetricKind.HISTOGRAM:
                self._histograms[metric.name] = {}

    def add(self, metric: Metric, labels: Labels = NONE, count: float = 1) -> None:
        """Count what happened. Labels beyond the metric's limit become `other`."""
        series = self._counters[metric.name]
        if labels not in series:
            labels = _room(metric, series, labels)
        series[labels] = series.get(labels, 0.0) + count

    def cost_unit(self, unit: str) -> str:
        """A unit of cost as a label: itself, if it is one of the first that came, or `other`."""
        if unit not in self._cost_units and len(self._cost_units) < COST_UNITS_MAX:
            self._cost_units.add(unit)
        return unit if unit in self._cost_units else OTHER

    def observe(self, metric: Metric, labels: Labels, value: float, count: int = 1) -> None:
        """Put a value, seen so often, into a histogram. Below 0 it is 0: clocks of two machines disagree."""
        series = self._histograms[metric.name]
        found = series.get(labels)
        if found is None:
            labels = _room(metric, series, labels)
            found = series.setdefault(labels, [0.0] * (len(metric.buckets) + 2))
        value = max(value, 0.0)
        found[bisect_left(metric.buckets, value)] += count
        found[-1] += value * count

    def show(self, metric: Metric, gauge: Gauge) -> None:
        """Show what this says whenever somebody reads; several of one metric are shown together."""
        self._gauges.setdefault(metric.name, []).append(gauge)

    def read(self) -> tuple[Reading, ...]:
        """Everything there is, in the order of the catalogue, without metrics that nothing was counted of."""
        found = (Reading(metric, self._points(metric)) for metric in METRICS)
        return tuple(reading for reading in found if reading.points)

    def _points(self, metric: Metric) -> tuple[Point, ...]:
        match metric.kind:
            case MetricKind.COUNTER:
                return tuple(Point(labels, value) for labels, value in list(self._counters[metric.name].items()))
            case MetricKind.HISTOGRAM:
                kept = [(labels, tuple(cells)) for labels, cells in list(self._histograms[metric.name].items())]
                return tuple(Point(labels, cells[-1], tuple(map(int, cells[:-1]))) for labels, cells in kept)
            case MetricKind.GAUGE:
                return self._shown(metric)

    def _shown(self, metric: Metric) -> tuple[Point, ...]:
        found: dict[Labels, float] = {}
        for gauge in self._gauges.get(metric.name, ()):
            for labels, value in gauge().items():
                kept = labels if labels in found else _room(metric, found, labels)
                # what is too much adds up; of ages the greatest counts
                found[kept] = max(found.get(kept, 0.0), value) if metric.unit == "s" else found.get(kept, 0.0) + value
        return tuple(Point(labels, value) for labels, value in found.items())


def _room(metric: Metric, series: Mapping[Labels, object], labels: Labels) -> Labels:
    """These labels, if the metric may have one more label set beside `other`."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {len(labels)} of them")
    return labels if len(series) < metric.series_max - 1 else (OTHER,) * len(labels)
