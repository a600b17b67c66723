"""Some thousand worlds, the crash sweep and a few planted bugs: the part of the simulation that runs with every change.

The long run is `python -m tests.simulation --runs 300000 --processes 2`, all mutants `--mutants`.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from saga.core import children
from tests.simulation.hunt import run_all, run_one
from tests.simulation.mutants import MUTANTS, Mutant, kill, smoke
from tests.simulation.scenarios import Scenario, scenarios
from tests.simulation.story import replay_line, tell
from tests.simulation.sweep import sweep
from tests.simulation.world import STRUCTURED_FROM

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
ROOT = Path(__file__).parents[2]
SHORT_RUNS = 1_500
SHORT_STRUCTURED_RUNS = 500
SHORT_MUTANT_SEEDS = 700
TRACED = (*range(75), *range(STRUCTURED_FROM, STRUCTURED_FROM + 25))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("first", "runs"), [(0, SHORT_RUNS), (STRUCTURED_FROM, SHORT_STRUCTURED_RUNS)])
def test_every_law_holds(first: int, runs: int) -> None:
    """No seed of a short run breaks a law, with steps alone and with every construct."""
    tally = run_all(range(first, first + runs))
    assert tally.found == [], "\n".join(replay_line(found) for found in tally.found)


def test_seeds_that_once_failed() -> None:
    """What failed once is tried for ever."""
    lines = [line.partition("#")[0].strip() for line in SEEDS_FILE.read_text(encoding="utf-8").splitlines()]
    for seed in [int(line) for line in lines if line]:
        world, found = run_one(seed)
        assert found is None, f"{replay_line(found)}\n{tell(world)}"


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_one_crash_anywhere(scenario: Scenario) -> None:
    """Dying once, at any boundary, changes no outcome."""
    swept = sweep(scenario)
    assert swept.boundaries > 5
    assert swept.found == ()


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.quick], ids=lambda mutant: mutant.name)
def test_planted_bugs_are_found(mutant: Mutant) -> None:
    """A bug that worlds without faults cannot see is killed within a few seeds."""
    assert smoke(mutant, seeds=20) is None
    assert kill(mutant, seeds=SHORT_MUTANT_SEEDS).found is not None


def test_what_else_is_loaded_does_not_change_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose name sorts first and which defines a function of the same name is left alone."""
    other = ModuleType("saga.a_module_before_the_core")
    exec("def answer(): ...", vars(other))
    before = vars(other)["answer"]
    monkeypatch.setitem(sys.modules, other.__name__, other)
    with next(mutant for mutant in MUTANTS if mutant.name == "a child is undone when it begins to be").plant():
        assert vars(other)["answer"] is before
        assert children.answer.__module__ == "tests.simulation.planted_structures"
    assert children.answer.__module__ == "saga.core.children"


def test_a_run_is_a_function_of_its_seed() -> None:
    """The same seeds leave the same trace, twice in this process and in one that hashes otherwise."""
    here = [run_one(seed)[0].trace_hash() for seed in TRACED]
    again = [run_one(seed)[0].trace_hash() for seed in TRACED]
    assert [seed for seed, one, two in zip(TRACED, here, again, strict=True) if one != two] == []
    program = (
        "from tests.simulation.test_laws import TRACED, run_one\n"
        "print([run_one(seed)[0].trace_hash() for seed in TRACED])"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert elsewhere.returncode == 0, elsewhere.stderr
    there = elsewhere.stdout.strip().strip("[]").replace("'", "").split(", ")
    assert [seed for seed, one, two in zip(TRACED, here, there, strict=True) if one != two] == []
