"""Metrics on their way out: the page that Prometheus reads, and what is sent by OTLP."""

from saga.adapters.telemetry.metrics.prometheus import MetricsPage
from saga.adapters.telemetry.metrics.push import MetricsPush

__all__ = ["MetricsPage", "MetricsPush"]
