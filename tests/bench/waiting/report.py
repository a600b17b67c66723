"""The figures on paper."""

import statistics
from collections.abc import Sequence

import msgspec

from tests.bench.waiting.beside import Beside, Round
from tests.bench.waiting.draining import Drained

MB = 1_000_000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    versions: dict[str, str]
    beside: list[Beside]
    drained: list[Drained]


def print_report(report: Report) -> None:
    """Tables."""
    print("\n" + ", ".join(f"{name} {value}" for name, value in report.versions.items()))
    for one in report.beside:
        _print_beside(one)
    for drained in report.drained:
        _print_drained(drained)


def ratios_of(rounds: Sequence[Round]) -> list[float]:
    """Orders a second beside the full store, by those beside the empty one, pair by pair."""
    pairs = zip(rounds[::2], rounds[1::2], strict=True)
    return [_rate(pair, "full") / _rate(pair, "empty") for pair in pairs]


def _rate(pair: Sequence[Round], which: str) -> float:
    [rate] = [each.orders_per_second for each in pair if each.store.endswith(which)]
    return rate


def _print_beside(one: Beside) -> None:
    print(f"\n{one.kind}: {one.waiting:,} sagas wait for an approval; filled in {one.fill_seconds:.0f} s")
    for what, size in (("as filled", one.filled), ("settled", one.settled)):
        parts = ", ".join(f"{name} {part / MB:.0f}" for name, part in list(size.parts.items())[:6] if part > MB)
        print(f"  {what:10} {size.total / one.waiting:6.0f} bytes a saga   {size.total / MB:.0f} MB: {parts}")
    print(f"\n  {'':8} {'orders/s':>9} {'min-max':>12} {'p50':>8} {'p99':>8}   PSS of the orchestrator: idle, loaded")
    for which in ("empty", "full"):
        mine = [each for each in one.rounds if each.store.endswith(which)]
        if mine:
            print(f"  {which:8} {_summary(mine)}")
    if one.rounds:
        ratios = ratios_of(one.rounds)
        spread = f"{min(ratios):.3f}-{max(ratios):.3f}, {len(ratios)} pairs"
        print(f"  full is {statistics.median(ratios):.3f} x empty ({spread})")
    print("\n  from approving to the next command")
    for name, approved in one.approved.items():
        print(
            f"  {name.rpartition('-')[2]:8} p50 {approved.p50_ms:.1f} ms, p99 {approved.p99_ms:.1f} ms, "
            f"at most {approved.max_ms:.1f} ms, of {approved.count}"
        )
    _print_asked(one)


def _print_asked(one: Beside) -> None:
    empty, full = (found for _, found in sorted(one.asked.items()))
    print("\n  seconds, start of the process and all: empty, full")
    for here, there in zip(empty, full, strict=True):
        code = f"   exit code {there.exit_code}" if there.exit_code else ""
        print(f"  {here.seconds:6.2f} {there.seconds:6.2f}   {here.command}{code}")


def _summary(rounds: Sequence[Round]) -> str:
    rates = [each.orders_per_second for each in rounds]
    p50, p99 = (statistics.median(getattr(each, name) or 0.0 for each in rounds) for name in ("p50_ms", "p99_ms"))
    idle, loaded = (statistics.median(getattr(each, name).pss for each in rounds) for name in ("idle", "loaded"))
    spread = f"{min(rates):.0f}-{max(rates):.0f}"
    return (
        f"{statistics.median(rates):9.1f} {spread:>12} {p50:5.0f} ms {p99:5.0f} ms   {idle:.1f} MiB, {loaded:.1f} MiB"
    )


def _print_drained(one: Drained) -> None:
    judged = one.judged
    drill = one.drill
    print(f"\n{drill.timers:,} timers of one second, {drill.orchestrators} orchestrators, started {drill.how}")
    print(
        f"  fired once {judged.fired_once:,}, early {judged.early}, commands {judged.keys:,} and {judged.repeats} again"
    )
    print(
        f"  first command after {one.first_seconds} s, last after {one.drain_seconds} s; completed {judged.completed:,}"
    )
    print(f"  committed late: p50 {judged.late_p50_ms:.0f} ms, at most {judged.late_max_ms:.0f} ms")
    before, after = (", ".join(f"{each.pss}" for each in some) for some in (one.memory_before, one.memory_after))
    print(f"  PSS of the orchestrators: {before} MiB before, {after} MiB after")
