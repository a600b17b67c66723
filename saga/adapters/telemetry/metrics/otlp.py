"""Tallies as an OTLP request (`ExportMetricsServiceRequest`, protobuf), written field by field as spans are.

Sums since the start of the process (cumulative): what a lost request would have said, the next one says too.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from saga.adapters.telemetry.otlp import SCOPE, attributes, field, tag, text, varint
from saga.core.metrics.shape import Metric, MetricKind
from saga.core.metrics.tally import Point, Reading

POINTS_MAX: Final = 5_000
"""Of one request: below 1 MB."""
CUMULATIVE: Final = 2
_VARINT, _FIXED64 = 0, 1


def requests(
    readings: Iterable[Reading], resource: Mapping[str, object], start_ns: int, now_ns: int
) -> Iterator[bytes]:
    """Export requests that hold all of these. Times are nanoseconds since 1970."""
    times = tag(2, _FIXED64) + start_ns.to_bytes(8, "little") + tag(3, _FIXED64) + now_ns.to_bytes(8, "little")
    about = field(1, attributes(1, resource))
    waiting: list[bytes] = []
    points = 0
    for reading in readings:
        for at in range(0, len(reading.points), POINTS_MAX):
            part = reading.points[at : at + POINTS_MAX]
            if waiting and points + len(part) > POINTS_MAX:
                yield _request(about, waiting)
                waiting, points = [], 0
            waiting.append(_metric(reading.metric, part, times))
            points += len(part)
    if waiting:
        yield _request(about, waiting)


def _request(resource: bytes, metrics: Sequence[bytes]) -> bytes:
    return field(1, resource + field(2, field(1, text(1, SCOPE)) + b"".join(metrics)))


def _metric(metric: Metric, points: Iterable[Point], times: bytes) -> bytes:
    head = text(1, metric.name) + text(2, metric.help) + text(3, metric.unit)
    cumulative = tag(2, _VARINT) + varint(CUMULATIVE)
    match metric.kind:
        case MetricKind.GAUGE:
            return field(2, head + field(5, b"".join(_number(metric, point, times) for point in points)))
        case MetricKind.COUNTER:
            data = b"".join(_number(metric, point, times) for point in points)
            return field(2, head + field(7, data + cumulative + tag(3, _VARINT) + varint(1)))
        case MetricKind.HISTOGRAM:
            data = b"".join(_distribution(metric, point, times) for point in points)
            return field(2, head + field(9, data + cumulative))


def _number(metric: Metric, point: Point, times: bytes) -> bytes:
    return field(1, attributes(7, _labels(metric, point)) + times + tag(4, _FIXED64) + struct.pack("<d", point.value))


def _distribution(metric: Metric, point: Point, times: bytes) -> bytes:
    counts = struct.pack(f"<{len(point.counts)}Q", *point.counts)
    bounds = struct.pack(f"<{len(metric.buckets)}d", *metric.buckets)
    body = (
        attributes(9, _labels(metric, point)),
        times,
        tag(4, _FIXED64) + sum(point.counts).to_bytes(8, "little"),
        tag(5, _FIXED64) + struct.pack("<d", point.value),
        field(6, counts),
        field(7, bounds),
    )
    return field(1, b"".join(body))


def _labels(metric: Metric, point: Point) -> dict[str, object]:
    """A label without a value is none, as in Prometheus."""
    return {label: value for label, value in zip(metric.labels, point.labels, strict=True) if value}
