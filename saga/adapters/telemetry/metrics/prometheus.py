"""Tallies as Prometheus reads them, with what its own library says of the process: memory, CPU, open files."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from saga.core.metrics.shape import MetricKind
from saga.core.metrics.tally import Point, Reading, Tallies

TOTAL = "_total"
"""What the library puts behind a counter's name by itself."""


class MetricsPage:
    """The page behind `/metrics`, in the format that is asked for. May be called from any thread."""

    def __init__(self, tallies: Tallies) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Tallied(tallies))
        ProcessCollector(registry=self._registry)

    def __call__(self, accept: str) -> tuple[str, bytes]:
        """Content type and body, for an `Accept` header."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)


class _Tallied(Collector):
    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is registered twice: no need to collect in order to find out

    def collect(self) -> Iterator[Metric]:
        for reading in self._tallies.read():
            yield _family(reading)


def _family(reading: Reading) -> Metric:
    metric = reading.metric
    name, labels = metric.prometheus, [label.replace(".", "_") for label in metric.labels]
    match metric.kind:
        case MetricKind.COUNTER:
            counter = CounterMetricFamily(name.removesuffix(TOTAL), metric.help, labels=labels)
            for point in reading.points:
                counter.add_metric(point.labels, point.value)
            return counter
        case MetricKind.GAUGE:
            gauge = GaugeMetricFamily(name, metric.help, labels=labels)
            for point in reading.points:
                gauge.add_metric(point.labels, point.value)
            return gauge
        case MetricKind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, metric.help, labels=labels)
            for point in reading.points:
                histogram.add_metric(point.labels, _buckets(metric.buckets, point), point.value)
            return histogram


def _buckets(bounds: tuple[float, ...], point: Point) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus has them."""
    names = [*(f"{bound:g}" if bound < 1e5 else f"{bound:.1f}" for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(map(float, point.counts)), strict=True))
