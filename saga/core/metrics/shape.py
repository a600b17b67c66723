"""What the catalogue says of each metric."""

from enum import StrEnum
from typing import Final

import msgspec

COUNTER_SERIES_MAX: Final = 2_000
HISTOGRAM_SERIES_MAX: Final = 1_000
COST_UNITS_MAX: Final = 16
"""Units of cost that become labels of their own: participants choose them."""
OTHER: Final = "other"
"""Every label of what comes when a metric has as many series as it may have; and what is not in a closed list."""


class MetricKind(StrEnum):
    """How values of a metric add up."""

    COUNTER = "counter"
    """Only rises, from 0 at the start of the process."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Which process has it."""

    ORCHESTRATOR = "orchestrator"
    FOLLOWER = "follower"
    """`saga follow`, and `saga run` unless it is told not to."""
    STORE = "store"
    """What the store says: shown by one follower of all at a time."""
    PARTICIPANT = "participant"
    EVERY = "every process"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric."""

    name: str
    kind: MetricKind
    unit: str
    """UCUM, `s` or a thing in braces."""
    labels: tuple[str, ...] = ()
    help: str
    source: Source
    buckets: tuple[float, ...] = ()
    """Upper bounds, inclusive, of a histogram."""

    @property
    def series_max(self) -> int:
        """Label sets it may have."""
        return HISTOGRAM_SERIES_MAX if self.kind is MetricKind.HISTOGRAM else COUNTER_SERIES_MAX

    @property
    def prometheus(self) -> str:
        """Its name there; the series of a histogram have `_bucket`, `_sum` and `_count` behind it."""
        name = self.name.replace(".", "_") + ("_seconds" if self.unit == "s" else "")
        return f"{name}_total" if self.kind is MetricKind.COUNTER else name


def counter(source: Source, name: str, unit: str, labels: tuple[str, ...], about: str) -> Metric:
    """A counter, as the catalogue writes it."""
    return Metric(name=name, kind=MetricKind.COUNTER, unit=unit, labels=labels, help=about, source=source)


def gauge(source: Source, name: str, unit: str, labels: tuple[str, ...], about: str) -> Metric:
    """A gauge."""
    return Metric(name=name, kind=MetricKind.GAUGE, unit=unit, labels=labels, help=about, source=source)


def histogram(
    source: Source, name: str, labels: tuple[str, ...], buckets: tuple[float, ...], about: str, *, unit: str = "s"
) -> Metric:
    """A histogram with these upper bounds."""
    kind = MetricKind.HISTOGRAM
    return Metric(name=name, kind=kind, unit=unit, labels=labels, help=about, source=source, buckets=buckets)
