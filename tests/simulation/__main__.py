"""`python -m tests.simulation --seed N --runs M [--processes 2] [--mutants] [--sweep]`."""

import argparse
import sys
import time

from tests.simulation.checkers import nested
from tests.simulation.checkers.seen import OF_STRUCTURES, WANTED
from tests.simulation.hunt import SECONDS_AN_HOUR, Tally, hunt, run_one
from tests.simulation.mutants import MUTANTS, kill, smoke
from tests.simulation.story import replay_line, tell
from tests.simulation.sweep import sweep_all
from tests.simulation.world import STRUCTURED_FROM

VACUOUS_BELOW_RUNS = 20_000
"""Shorter runs need not meet everything."""
PROGRESS_SECONDS = 10.0
SHOWN_MOST = 10


def main() -> int:
    """0 when every law held, and, on a long run, everything wanted was met."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--runs", type=int, default=None, help="how many seeds; 1 tells the story of that seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--mutants", action="store_true", help="plant every bug and kill it")
    parser.add_argument("--sweep", action="store_true", help="crash every scenario at every boundary")
    options = parser.parse_args()
    failures = 0
    if options.mutants:
        failures += _mutants()
    if options.sweep:
        failures += _sweep()
    if options.runs == 1 or (options.runs is None and not options.mutants and not options.sweep and options.seed):
        return failures + _one(options.seed)
    if options.runs or not (options.mutants or options.sweep):
        failures += _many(options.seed, options.runs or 2_000, options.processes)
    return int(failures > 0)


def _one(seed: int) -> int:
    world, found = run_one(seed)
    print(tell(world))
    print(f"\ntrace {world.trace_hash()}")
    if found is None:
        print(f"seed {seed}: every law held")
        return 0
    print(replay_line(found))
    return 1


def _many(first: int, runs: int, processes: int) -> int:
    began = told = time.perf_counter()
    tally = Tally()
    for chunk in hunt(first, runs, processes):
        tally.add(chunk)
        for found in chunk.found[: max(0, SHOWN_MOST - len(tally.found) + len(chunk.found))]:
            print(replay_line(found), flush=True)
        if time.perf_counter() - told > PROGRESS_SECONDS:
            told = time.perf_counter()
            print(
                f"{tally.runs} runs, {tally.runs / (told - began):.0f} a second, {len(tally.found)} broken", flush=True
            )
    return _report(first, tally, time.perf_counter() - began)


def _report(first: int, tally: Tally, seconds: float) -> int:
    for name, count in sorted(tally.marks.items(), key=lambda mark: (-mark[1], mark[0])):
        print(f"{count:12,}  {name}")
    hours, sagas = tally.simulated_seconds / SECONDS_AN_HOUR, tally.marks.get("SagaStarted", 0)
    print(f"seeds {first} to {first + tally.runs - 1}, {sagas:,} sagas, {hours:,.0f} simulated hours")
    rate = f"{tally.runs / seconds:.0f} worlds/s, {tally.runs / max(tally.cpu_seconds, 0.001):.0f} a second of one core"
    print(f"{tally.runs:,} worlds in {seconds:.1f}s: {rate}")
    if tally.found:
        worst = min(tally.found, key=lambda found: found.seed)
        world, _ = run_one(worst.seed)
        print(tell(world))
        print(f"{len(tally.found)} of {tally.runs} seeds break a law")
        print(replay_line(worst))
    structured = first + tally.runs > STRUCTURED_FROM
    wanted = (*WANTED, *nested.WANTED) if structured else (name for name in WANTED if name not in OF_STRUCTURES)
    missing = [name for name in wanted if not tally.marks.get(name)]
    if missing:
        print(f"never met: {', '.join(missing)}")
    vacuous = bool(missing) and tally.runs >= VACUOUS_BELOW_RUNS
    return int(bool(tally.found) or vacuous)


def _mutants() -> int:
    survivors = 0
    for mutant in MUTANTS:
        clean = smoke(mutant)
        killed = kill(mutant)
        survivors += clean is not None or killed.found is None
        found = killed.found
        verdict = "SURVIVES" if found is None else f"seed {found.seed}: {found.law}: {found.text}"
        fault_free = "passes" if clean is None else f"FAILS ({clean.law})"
        worlds = f"{killed.worlds:6} worlds {killed.seconds:6.2f}s"
        print(f"{mutant.name:42} fault-free {fault_free:8} {worlds}  {verdict[:110]}", flush=True)
    print(f"{len(MUTANTS)} planted bugs, {survivors} survivors")
    return survivors


def _sweep() -> int:
    broken = 0
    for swept in sweep_all():
        broken += len(swept.found)
        print(f"{swept.scenario:44} {swept.boundaries:4} boundaries, {len(swept.found)} broken")
        for text in swept.found:
            print(f"    {text}")
    return broken


if __name__ == "__main__":
    sys.exit(main())
