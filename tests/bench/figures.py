"""What is measured, and how rounds become figures."""

import statistics
from collections.abc import Mapping, Sequence

import msgspec


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller saw of a round. Latency from placing an order to hearing its end; None where nobody listens."""

    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one side."""

    side: str
    orders: int
    orders_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_ms_per_order: dict[str, float]
    load_before: float
    """The machine's load average of the last minute, when the round began."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds of one side."""

    side: str
    what: str
    rounds: int
    median: float
    lowest: float
    highest: float
    """Orders a second."""
    p50_ms: float | None
    p99_ms: float | None
    cpu_ms_per_order: dict[str, float]
    """Medians, by process."""
    cpu_ms_total: float
    settings: dict[str, str]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How much faster one side is than another, from rounds that were neighbours in time."""

    side: str
    than: str
    median: float
    lowest: float
    highest: float
    cpu: float
    """CPU an order of the other, by ours: what a busy machine disturbs least."""


def ratios_of(rounds: Mapping[str, Sequence[Round]], ours: Sequence[str]) -> list[Ratio]:
    """Of each of ours to each other side."""
    return [
        _ratio(side, than, list(zip(rounds[side], rounds[than], strict=True)))
        for side in ours
        for than in rounds
        if than not in ours
    ]


def _ratio(side: str, than: str, pairs: Sequence[tuple[Round, Round]]) -> Ratio:
    rates = [one.orders_per_second / other.orders_per_second for one, other in pairs]
    cpu = [sum(other.cpu_ms_per_order.values()) / sum(one.cpu_ms_per_order.values()) for one, other in pairs]
    return Ratio(
        side=side,
        than=than,
        median=_median(rates),
        lowest=round(min(rates), 2),
        highest=round(max(rates), 2),
        cpu=_median(cpu),
    )


def figures_of(rounds: Sequence[Round], what: str, settings: dict[str, str]) -> Figures:
    """Medians and spread of the rounds of one side."""
    rates = [one.orders_per_second for one in rounds]
    cpu = {name: _median([one.cpu_ms_per_order[name] for one in rounds]) for name in rounds[0].cpu_ms_per_order}
    return Figures(
        side=rounds[0].side,
        what=what,
        rounds=len(rounds),
        median=_median(rates),
        lowest=min(rates),
        highest=max(rates),
        p50_ms=_median_of_known([one.p50_ms for one in rounds]),
        p99_ms=_median_of_known([one.p99_ms for one in rounds]),
        cpu_ms_per_order=cpu,
        cpu_ms_total=_median([sum(one.cpu_ms_per_order.values()) for one in rounds]),
        settings=settings,
    )


def percentile_ms(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds; of at least two values."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return round(cuts[percent - 1] * 1_000, 1)


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)


def _median_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _median(known) if known else None
