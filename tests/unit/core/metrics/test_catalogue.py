"""The catalogue of metrics: names that every backend takes, and labels that cannot grow without bound."""

import re
from typing import Any

import pytest

from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import Metric, MetricKind

NAME = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
UNBOUNDED = {"saga", "saga_id", "id", "key", "path", "text", "message_id", "execution", "attempt", "trace"}


def name_of(metric: Any) -> str:
    return str(metric.name)


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_a_metric_is_well_formed(metric: Metric) -> None:
    """Lower-case dotted names, a unit, a sentence, rising buckets where there are any, and no label of one run."""
    assert NAME.fullmatch(metric.name)
    assert metric.unit == "s" or re.fullmatch(r"{[a-z]+}", metric.unit)
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
    assert bool(metric.buckets) == (metric.kind is MetricKind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not UNBOUNDED & set(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)


def test_no_two_metrics_share_a_name_in_any_backend() -> None:
    """Nor is one the namespace of another, which OpenTelemetry forbids."""
    names = [metric.name for metric in METRICS]
    assert len({metric.prometheus for metric in METRICS}) == len(set(names)) == len(names)
    assert [(a, b) for a in names for b in names if b.startswith(f"{a}.")] == []


def test_names_in_prometheus() -> None:
    """As a collector would translate them."""
    shown = {metric.name: metric.prometheus for metric in METRICS}
    assert shown["saga.started"] == "saga_started_total"
    assert shown["saga.step.queue.wait"] == "saga_step_queue_wait_seconds"
    assert shown["saga.commit.sagas"] == "saga_commit_sagas"
    assert shown["saga.open"] == "saga_open"
    assert shown["messaging.process.duration"] == "messaging_process_duration_seconds"
