"""The public API as a user types it: what is right passes both checkers, what is wrong fails at its own line."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = {Path("tests/typing/wrong.py"): 19, Path("tests/typing/wrong_onboarding.py"): 50}
"""How many mistakes are planted, at least."""
RIGHT = (Path("tests/typing/orders.py"), Path("tests/typing/onboarding.py"))

Findings = dict[int, list[str]]


def mypy(path: Path) -> Findings:
    """What mypy --strict finds, by line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-error-summary", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert not result.stderr, result.stderr
    errors = [line for line in result.stdout.splitlines() if ": error:" in line]
    found: Findings = {}
    for line in errors:
        place = re.match(r"(.+?):(\d+): error: (.*)", line)
        assert place, line
        if place[1] == str(path):  # modules that others are writing are judged by their own check
            found.setdefault(int(place[2]), []).append(place[3])
    return found


def pyright(path: Path) -> Findings:
    """What pyright in its strict mode finds, by line. It goes by a copy: the project leaves the mistakes out."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / path, folder)
        settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
        Path(folder, "pyrightconfig.json").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "--project", folder]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    report = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, report
    found: Findings = {}
    for problem in report["generalDiagnostics"]:
        if problem["severity"] == "error":
            found.setdefault(problem["range"]["start"]["line"] + 1, []).append(problem["message"])
    return found


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("checker", CHECKERS)
def test_each_planted_mistake_is_found_and_nothing_else(checker: str, wrong: Path) -> None:
    """Every line marked BAD is an error, and no unmarked line is."""
    lines = (ROOT / wrong).read_text().splitlines()
    planted = {number for number, line in enumerate(lines, 1) if "# BAD " in line}
    assert len(planted) >= WRONG[wrong]

    found = CHECKERS[checker](wrong)

    assert not [lines[number - 1].strip() for number in sorted(planted - found.keys())], "not found"
    assert not {number: found[number] for number in sorted(found.keys() - planted)}, "found without a reason"


@pytest.mark.parametrize("right", RIGHT, ids=str)
@pytest.mark.parametrize("checker", CHECKERS)
def test_contracts_and_definition_pass_the_strict_checkers(checker: str, right: Path) -> None:
    """What a team writes by the book needs no cast and no ignore."""
    assert CHECKERS[checker](right) == {}
