"""Tallies: what adds up to what, and that memory is bounded whatever the labels are."""

import threading

import pytest

from saga.core.metrics import catalogue as m
from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import COUNTER_SERIES_MAX, HISTOGRAM_SERIES_MAX, OTHER, Metric, MetricKind
from saga.core.metrics.tally import NONE, Labels, Tallies
from tests.metrics import counted, points


def test_counters_add_up_by_label_set() -> None:
    """One without labels begins at 0, so that its first rise is seen."""
    tallies = Tallies()
    assert counted(tallies, m.CONFLICTS) == {(): 0}
    tallies.add(m.CONFLICTS)
    tallies.add(m.CONFLICTS, count=2)
    tallies.add(m.STARTED, ("order",))
    assert counted(tallies, m.CONFLICTS) == {(): 3}
    assert counted(tallies, m.STARTED) == {("order",): 1}


def test_buckets_hold_what_is_at_their_bound() -> None:
    """As Prometheus and OTLP both have it; what is above all is in the last one, and time never runs backwards."""
    tallies = Tallies()
    for value in (1.0, 1.5, 2.0, 501.0, -3.0):
        tallies.observe(m.COMMIT_SAGAS, (), value)
    tallies.observe(m.COMMIT_SAGAS, (), 10.0, 4)
    point = points(tallies, m.COMMIT_SAGAS)[()]
    assert point.counts == (2, 2, 0, 4, 0, 0, 0, 0, 0, 1)
    assert point.value == 1.0 + 1.5 + 2.0 + 501.0 + 40.0


@pytest.mark.parametrize("metric", [each for each in METRICS if each.labels], ids=lambda metric: str(metric.name))
def test_thousands_of_names_are_other(metric: Metric) -> None:
    """Hostile definitions cost a bounded number of series, and nothing is lost from the sum."""
    tallies = Tallies()
    wanted = COUNTER_SERIES_MAX + 500
    names = [(f"name-{number}", *["x"] * (len(metric.labels) - 1)) for number in range(wanted)]
    if metric.kind is MetricKind.COUNTER:
        for labels in names * 2:
            tallies.add(metric, labels)
    elif metric.kind is MetricKind.HISTOGRAM:
        for labels in names * 2:
            tallies.observe(metric, labels, 1.0)
    else:
        tallies.show(metric, lambda: dict.fromkeys(names, 2.0))
    found = counted(tallies, metric)
    limit = HISTOGRAM_SERIES_MAX if metric.kind is MetricKind.HISTOGRAM else COUNTER_SERIES_MAX
    assert len(found) == limit == metric.series_max
    other = found[(OTHER,) * len(metric.labels)]
    age = metric.kind is MetricKind.GAUGE and metric.unit == "s"
    assert other == (2.0 if age else 2 * (wanted - limit + 1))
    assert age or sum(found.values()) == 2 * wanted


def test_wrong_labels_are_a_mistake_of_ours() -> None:
    """Found when the series begins."""
    with pytest.raises(ValueError, match=r"saga\.started has the labels"):
        Tallies().add(m.STARTED, ("order", "charge"))


def test_gauges_are_asked_when_read_and_add_up() -> None:
    """Two parts of a process may show the same metric."""
    tallies = Tallies()
    values: dict[Labels, float] = {(): 1.0}
    tallies.show(m.IN_FLIGHT, lambda: values)
    tallies.show(m.IN_FLIGHT, lambda: {NONE: 5.0})
    assert counted(tallies, m.IN_FLIGHT) == {(): 6.0}
    values[()] = 2.0
    assert counted(tallies, m.IN_FLIGHT) == {(): 7.0}
    values.clear()
    assert counted(tallies, m.IN_FLIGHT) == {(): 5.0}


def test_another_thread_may_read_at_any_time() -> None:
    """The endpoint does, while series are added."""
    tallies, stop, failed = Tallies(), threading.Event(), list[BaseException]()

    def read() -> None:
        while not stop.is_set():
            try:
                tallies.read()
            except BaseException as error:
                failed.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20_000):
        tallies.add(m.STARTED, (f"name-{number}",))
        tallies.observe(m.DURATION, (f"name-{number % 900}", "completed"), 1.0)
    stop.set()
    reader.join()
    assert failed == []
