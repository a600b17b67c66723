"""The engine beside DBOS Transact and beside the bare transport: the same four rows an order, in turns.

    python -m tests.bench [--rounds 5] [--orders 2000] [--only ours|dbos|floor|traced] [--json FILE]

Rounds alternate: A B C A B C. Each round starts the processes of its side anew, warms them up, and counts the rows
afterwards. What matters is the ratio: absolute figures are this machine's, with everything else that runs on it.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench.cpu import cpu_seconds
from tests.bench.figures import Round, figures_of, ratios_of
from tests.bench.peers import dbos_interpreter, dbos_versions
from tests.bench.report import Report, print_report, print_round
from tests.bench.sides import Dbos, Floor, Ours, Side, Traced
from tests.bench.stage import Stage

WARM_UP_ORDERS = 100


def measure(stage: Stage, side: Side, number: int, orders: int) -> Round:
    """One round. Raises AssertionError when an effect is missing or too many."""
    running = side.start()
    try:
        running.caller.place(f"warm{number}", WARM_UP_ORDERS)
        pids, load = {**running.pids, **stage.servers()}, os.getloadavg()[0]
        before = cpu_seconds(pids)
        placed = running.caller.place(f"round{number}", orders)
        after = cpu_seconds(pids)
        running.check(f"round{number}", orders)
    finally:
        running.stop()
    return Round(
        side=side.name,
        orders=orders,
        orders_per_second=round(orders / placed.seconds, 1),
        p50_ms=placed.p50_ms,
        p99_ms=placed.p99_ms,
        cpu_ms_per_order={name: round((after[name] - before[name]) * 1_000 / orders, 2) for name in pids},
        load_before=round(load, 2),
    )


def compare(stage: Stage, sides: Sequence[Side], *, rounds: int, orders: int) -> dict[str, list[Round]]:
    """All rounds of all sides, in turns."""
    found: dict[str, list[Round]] = {side.name: [] for side in sides}
    for side in sides:
        side.prepare()
    for number in range(1, rounds + 1):
        for side in sides:
            found[side.name].append(measure(stage, side, number, int(orders * side.share)))
            print_round(number, found[side.name][-1])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    given = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="saga-bench-") as folder, Stage(Path(folder)) as stage:
        sides, versions = _sides(stage, given), _versions(stage)
        if any(isinstance(side, Dbos) for side in sides):
            versions |= dbos_versions(given.dbos_python)
        found = compare(stage, sides, rounds=given.rounds, orders=given.orders)
    report = Report(
        versions=versions,
        figures=[figures_of(found[side.name], side.what, side.settings) for side in sides],
        ratios=ratios_of(found, [side.name for side in sides if isinstance(side, Ours)]),
        rounds=found,
    )
    if given.json:
        Path(given.json).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    print_report(report)


def _sides(stage: Stage, given: argparse.Namespace) -> list[Side]:
    counts = {"orchestrators": given.orchestrators, "participants": given.participants, "in_flight": given.in_flight}
    ours = [Ours(stage, **counts), Ours(stage, **counts, together=True)]
    if given.profile:
        for side in ours:
            side.profiles = Path(given.profile).resolve() / side.name
            side.profiles.mkdir(parents=True, exist_ok=True)
    sides: list[Side] = [*ours]
    if given.only in ("dbos", None):
        interpreter = dbos_interpreter(given.dbos_python)
        sides += [Dbos(stage, interpreter, "transaction"), Dbos(stage, interpreter, "step")]
    if given.only == "traced":
        return [ours[0], Traced(stage, Ours(stage, **counts))]
    sides.append(Floor(stage, in_flight=given.in_flight))
    return sides if given.only is None else [side for side in sides if side.name.startswith(given.only)]


def _versions(stage: Stage) -> dict[str, str]:
    return {
        "RabbitMQ": stage.rabbit.version,
        "PostgreSQL": stage.postgres.version,
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "queues": "quorum, publisher confirms, persistent messages",
        "fsync": stage.postgres.execute("show fsync"),
        "synchronous_commit": stage.postgres.execute("show synchronous_commit"),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=2_000, help="a round of ours; the other sides get a share of it")
    parser.add_argument("--only", choices=["ours", "dbos", "floor", "traced"])
    parser.add_argument("--in-flight", type=int, default=400, help="orders of ours and the floor open at once")
    parser.add_argument("--orchestrators", type=int, default=1)
    parser.add_argument("--participants", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--profile", metavar="FOLDER", help="run our processes under cProfile, which slows them")
    parser.add_argument(
        "--dbos-python", metavar="FILE", help="of an environment with dbos [default: what `make bench` installs]"
    )
    return parser


if __name__ == "__main__":
    main()
