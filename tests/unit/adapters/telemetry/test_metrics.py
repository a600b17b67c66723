"""Tallies on their way out, read back by other hands: Prometheus' own parser, and OTLP's own classes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from saga.adapters.telemetry.metrics import MetricsPage, MetricsPush
from saga.adapters.telemetry.metrics.otlp import POINTS_MAX, requests
from saga.core.metrics import catalogue as m
from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import Metric, MetricKind
from saga.core.metrics.tally import Tallies
from tests.builders import NOW
from tests.otlp import Backend, Value, Watch, read_metrics

RESOURCE = {"service.name": "saga", "service.instance.id": "i-1"}
ODD = 'a "quoted" \\ name\nof two lines'


def filled() -> Tallies:
    """Something of every metric, under the labels `x1`, `x2`, …"""
    tallies = Tallies()
    for metric in METRICS:
        labels = tuple(f"x{number}" for number in range(len(metric.labels)))
        match metric.kind:
            case MetricKind.COUNTER:
                tallies.add(metric, labels, 3)
            case MetricKind.HISTOGRAM:
                tallies.observe(metric, labels, metric.buckets[0], 2)
                tallies.observe(metric, labels, 1e9)
            case MetricKind.GAUGE:
                tallies.show(metric, lambda labels=labels: {labels: 1.5})  # type: ignore[misc]  # bound early
    return tallies


def page(tallies: Tallies, accept: str = "") -> str:
    return MetricsPage(tallies)(accept)[1].decode()


def sent(tallies: Tallies) -> list[Value]:
    return [value for body in requests(tallies.read(), RESOURCE, 1, 2) for value in read_metrics(body)]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def labelled(metric: Metric, **more: str) -> frozenset[tuple[str, str]]:
    names = [label.replace(".", "_") for label in metric.labels]
    return frozenset({**{name: f"x{number}" for number, name in enumerate(names)}, **more}.items())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_prometheus_reads_what_the_catalogue_says(metric: Metric) -> None:
    """Name, labels, value; a histogram's buckets add up, and the last one holds all."""
    found = samples(page(filled()))
    name = metric.prometheus
    match metric.kind:
        case MetricKind.COUNTER:
            assert found[name, labelled(metric)] == 3
        case MetricKind.GAUGE:
            assert found[name, labelled(metric)] == 1.5
        case MetricKind.HISTOGRAM:
            first = str(metric.buckets[0])
            bounds = {dict(labels).get("le") for key, labels in found if key == f"{name}_bucket"}
            assert {float(bound or "nan") for bound in bounds} == {*metric.buckets, float("inf")}
            [least] = [
                value
                for (key, labels), value in found.items()
                if key == f"{name}_bucket" and float(dict(labels)["le"]) == float(first)
            ]
            assert least == 2
            assert found[f"{name}_bucket", labelled(metric, le="+Inf")] == found[f"{name}_count", labelled(metric)] == 3
            assert found[f"{name}_sum", labelled(metric)] == 1e9 + 2 * metric.buckets[0]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_otlp_says_what_the_catalogue_says(metric: Metric) -> None:
    """The same again, as a backend decodes it."""
    [value] = [value for value in sent(filled()) if value.name == metric.name]
    kinds = {MetricKind.COUNTER: "sum", MetricKind.GAUGE: "gauge", MetricKind.HISTOGRAM: "histogram"}
    assert (value.kind, value.unit) == (kinds[metric.kind], metric.unit)
    assert value.labels == {label: f"x{number}" for number, label in enumerate(metric.labels)}
    assert (value.service, value.instance, value.start_ns, value.at_ns) == ("saga", "i-1", 1, 2)
    assert value.bounds == metric.buckets
    if metric.buckets:
        assert value.counts == (2, *[0] * (len(metric.buckets) - 1), 1)
        assert value.value == 1e9 + 2 * metric.buckets[0]
    else:
        assert value.value == (3 if metric.kind is MetricKind.COUNTER else 1.5)


def test_any_text_fits_a_label() -> None:
    """And none breaks a line of the page."""
    tallies = Tallies()
    tallies.add(m.STARTED, (ODD,))
    assert samples(page(tallies))["saga_started_total", frozenset({("definition", ODD)})] == 1
    [value] = [value for value in sent(tallies) if value.name == "saga.started"]
    assert value.labels == {"definition": ODD}


def test_a_label_without_a_value_is_none() -> None:
    """As Prometheus takes an empty one."""
    tallies = Tallies()
    tallies.add(m.FAILURES, ("order", "charge", "action", "timeout", ""))
    [value] = [value for value in sent(tallies) if value.name == m.FAILURES.name]
    assert "code" not in value.labels


def test_the_page_speaks_both_formats_of_prometheus() -> None:
    """As the reader asks; and says what the process needs of its machine."""
    assert MetricsPage(filled())("")[0].startswith("text/plain")
    content_type, body = MetricsPage(filled())("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert "process_resident_memory_bytes" in page(filled())


def test_requests_are_of_bounded_size() -> None:
    """As many as it takes, and nothing is lost between them."""
    tallies = Tallies()
    for metric in (m.STARTED, m.ENDED, m.PARKED, m.ATTEMPTS):
        for number in range(metric.series_max - 1):
            tallies.add(metric, (f"name-{number}", *["x"] * (len(metric.labels) - 1)))
    bodies = list(requests(tallies.read(), RESOURCE, 1, 2))
    counts = [len(list(read_metrics(body))) for body in bodies]
    assert max(counts) <= POINTS_MAX
    assert sum(counts) == sum(len(reading.points) for reading in tallies.read()) > POINTS_MAX
    assert max(map(len, bodies)) < 1_000_000


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as found:
        yield found


def push(tallies: Tallies, url: str, **changes: Any) -> MetricsPush:
    fields: dict[str, Any] = {"resource": RESOURCE, "interval_seconds": 3_600, "now": lambda: NOW, "monotonic": Watch()}
    return MetricsPush(tallies, url, {"x-key": "k"}, **{**fields, **changes})


def test_what_was_counted_last_is_sent_at_the_end(backend: Backend) -> None:
    """With the headers of the settings; the address may be that of the traces."""
    tallies = Tallies()
    pushing = push(tallies, f"{backend.url}/v1/traces")
    pushing.start()
    tallies.add(m.STARTED, ("order",))
    pushing.stop()
    [value] = backend.values("saga.started")
    assert (value.value, value.labels) == (1, {"definition": "order"})
    assert value.start_ns == value.at_ns == int(NOW.timestamp()) * 1_000_000_000
    assert backend.headers[0]["x-key"] == "k"


def test_what_a_backend_missed_the_next_request_says(backend: Backend) -> None:
    """Nothing is kept for it, and sums are since the beginning."""
    tallies = Tallies()
    pushing = push(tallies, backend.url, interval_seconds=0.001)
    backend.status = 503
    tallies.add(m.STARTED, ("order",))
    pushing.start()
    tallies.add(m.STARTED, ("order",))
    backend.status = 200
    pushing.stop()
    assert backend.values("saga.started")[-1].value == 2


def test_a_backend_that_never_answers_does_not_hold_up_the_end(backend: Backend) -> None:
    """The thread is cut off."""
    backend.delay_seconds = 60
    pushing = push(Tallies(), backend.url, last_seconds=0.01)
    pushing.start()
    pushing.stop()
    assert not pushing._thread.is_alive()
    assert backend.metric_requests == []


def test_nobody_there(backend: Backend) -> None:
    """A port where nobody listens costs a line in the log."""
    with Backend() as gone:
        url = gone.url
    pushing = push(Tallies(), url, interval_seconds=0.001)
    pushing.start()
    pushing.stop()
    assert pushing._trouble != ""
    with pytest.raises(ValueError, match="http"):
        push(Tallies(), "grpc://x")


def test_the_times_of_a_process_are_real() -> None:
    """Nanoseconds since 1970, of a start and of each sending."""
    times = iter([NOW, NOW + timedelta(seconds=5)])
    with Backend() as backend:
        pushing = push(Tallies(), backend.url, now=lambda: next(times))
        pushing.start()
        pushing.stop()
        [value] = backend.values("saga.commit.conflicts")
    assert value.at_ns - value.start_ns == 5_000_000_000


def test_a_backend_that_asks_for_patience_is_left_alone(backend: Backend) -> None:
    """The next request says what those meanwhile would have said."""
    tallies, watch = Tallies(), Watch()
    pushing = push(tallies, backend.url, monotonic=watch)
    backend.status, backend.retry_after = 503, "30"
    for _ in range(3):
        tallies.add(m.STARTED, ("order",))
        pushing._send()
    assert backend.turned_away_count == 1
    backend.status, watch.seconds = 200, 30.0
    pushing._send()
    assert backend.values("saga.started")[-1].value == 3
    pushing._connection.close()
