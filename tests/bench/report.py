"""The figures on paper."""

from collections.abc import Mapping

import msgspec

from tests.bench.figures import Figures, Ratio, Round


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    versions: dict[str, str]
    figures: list[Figures]
    ratios: list[Ratio]
    rounds: dict[str, list[Round]]


def print_round(number: int, one: Round) -> None:
    """A line while it goes on."""
    total = sum(one.cpu_ms_per_order.values())
    print(
        f"round {number}  {one.side:10} {one.orders_per_second:8.1f} orders/s  {total:6.2f} ms CPU an order"
        f"  (load {one.load_before})",
        flush=True,
    )


def print_report(report: Report) -> None:
    """Medians, spread, ratios, CPU by process, settings, versions."""
    print("\n" + ", ".join(f"{name} {value}" for name, value in report.versions.items()))
    print(f"\n{'side':10} {'median':>9} {'min-max':>13}  {'CPU':>8} {'p50':>9} {'p99':>9}")
    for one in report.figures:
        spread = f"{one.lowest:.0f}-{one.highest:.0f}"
        p50, p99 = (f"{value:.0f} ms" if value is not None else "" for value in (one.p50_ms, one.p99_ms))
        cpu = f"{one.cpu_ms_total:.2f} ms"
        print(f"{one.side:10} {one.median:7.0f}/s {spread:>13}  {cpu:>8} {p50:>9} {p99:>9}")
    if report.ratios:
        print()
    for ratio in report.ratios:
        spread = f"({ratio.lowest:.2f}-{ratio.highest:.2f})"
        print(
            f"{ratio.side:8} is {ratio.median:5.2f} x {ratio.than:10} {spread:15} CPU an order: {ratio.cpu:.2f} x less"
        )
    for one in report.figures:
        print(f"\n{one.side}: {one.what}\n  {_listed(one.settings)}")
        cpu_ms = sorted(one.cpu_ms_per_order.items(), key=lambda item: -item[1])
        print("  CPU an order: " + ", ".join(f"{name} {value:.2f} ms" for name, value in cpu_ms))


def _listed(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
