"""What waiting costs: a million sagas that wait for a person, ten thousand timers of the same second.

    python -m tests.bench.waiting [--only postgres|sqlite|timers] [--waiting 1000000] [--pairs 5] [--json FILE]

A store is filled with sagas that wait, through the engine's own step and commits; then, in turns, orders run beside it
and beside an empty store, over real RabbitMQ with participants of their own. Measured: memory of the orchestrator,
orders a second, from a person's approval to the next command at a bare AMQP client, bytes a saga, seconds of
`saga list` and the like. On SQLite the same with fewer, over the same broker. Timers: every orchestrator is killed and
started again, before and after a second in which all of them are due.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench.stage import Stage
from tests.bench.waiting.beside import Beside, Load, measure_beside
from tests.bench.waiting.draining import Drained, Drill, measure_drain
from tests.bench.waiting.place import ALL_SERVICES, desk
from tests.bench.waiting.report import Report, print_report

PARTS = ("postgres", "sqlite", "timers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    given = _parser().parse_args(arguments)
    parts = [given.only] if given.only else list(PARTS)
    begun = time.monotonic()

    def told(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", flush=True)

    beside: list[Beside] = []
    drained: list[Drained] = []
    with (
        tempfile.TemporaryDirectory(prefix="saga-bench-", dir=given.folder) as folder,
        Stage(Path(folder), ALL_SERVICES, [desk()]) as stage,
    ):
        versions = _versions(stage)
        for kind, waiting in (("postgres", given.waiting), ("sqlite", given.sqlite_waiting)):
            if kind in parts:
                load = Load(
                    waiting=waiting,
                    pairs=given.pairs,
                    orders=given.orders,
                    approvals=given.approvals,
                    fillers=given.fillers,
                )
                beside.append(measure_beside(stage, kind, load, told))
        if "timers" in parts:
            drained += [
                measure_drain(
                    stage, "postgres", Drill(timers=given.timers, orchestrators=given.orchestrators, late=late), told
                )
                for late in (False, True)
            ]
    report = Report(versions=versions, beside=beside, drained=drained)
    if given.json:
        Path(given.json).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    print_report(report)
    told("done")


def _versions(stage: Stage) -> dict[str, str]:
    return {
        "RabbitMQ": stage.rabbit.version,
        "PostgreSQL": stage.postgres.version,
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "synchronous_commit": stage.postgres.execute("show synchronous_commit"),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.waiting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--waiting", type=int, default=1_000_000, help="sagas in Postgres [default: a million]")
    parser.add_argument("--sqlite-waiting", type=int, default=100_000, help="sagas in SQLite")
    parser.add_argument("--pairs", type=int, default=5, help="rounds beside each store, in turns")
    parser.add_argument("--orders", type=int, default=2_000, help="a round")
    parser.add_argument("--approvals", type=int, default=300, help="beside each store, one after the other")
    parser.add_argument("--timers", type=int, default=10_000)
    parser.add_argument("--orchestrators", type=int, default=2, help="for the timers")
    parser.add_argument("--fillers", type=int, default=2, help="processes that fill Postgres")
    parser.add_argument("--folder", metavar="FOLDER", help="for what processes print and for SQLite's files")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
