"""The figures on paper."""

from collections.abc import Mapping

import msgspec

from tests.bench.figures import Figures, Round


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    versions: dict[str, str]
    figures: list[Figures]


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
    first = report.figures[0]
    print("\n" + ", ".join(f"{name} {value}" for name, value in report.versions.items()))
    print(f"\n{'side':10} {'median':>9} {'min-max':>17} {first.side + ' is':>9}  {'CPU':>8} {'p50':>9} {'p99':>9}")
    for one in report.figures:
        spread, ratio = f"{one.lowest:.0f}-{one.highest:.0f}", f"{first.median / one.median:.2f} x"
        p50, p99 = (f"{value:.0f} ms" if value is not None else "" for value in (one.p50_ms, one.p99_ms))
        cpu = f"{one.cpu_ms_total:.2f} ms"
        print(f"{one.side:10} {one.median:7.0f}/s {spread:>17} {ratio:>9}  {cpu:>8} {p50:>9} {p99:>9}")
    for one in report.figures:
        print(f"\n{one.side}: {one.what}\n  {_listed(one.settings)}")
        cpu_ms = sorted(one.cpu_ms_per_order.items(), key=lambda item: -item[1])
        print("  CPU an order: " + ", ".join(f"{name} {value:.2f} ms" for name, value in cpu_ms))


def _listed(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
