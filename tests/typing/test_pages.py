"""The files a newcomer types from the README and the tutorial pass both checkers in their strict modes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.pages import ROOT, blocks


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """A folder with these files, as printed."""
    (trip,) = blocks("README.md", "python")
    (tmp_path / "trip.py").write_text(trip)
    for block in blocks("docs/tutorial.md", "python"):
        name = re.match(r"# (\S+)\n", block)
        assert name
        (tmp_path / name[1]).write_text(block)
    return tmp_path


def test_mypy_is_content(typed: Path) -> None:
    """With --strict, and nothing else."""
    files = sorted(path.name for path in typed.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *files]
    environment = {"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=typed, env=environment, capture_output=True, text=True, timeout=100, check=False)
    found = [line for line in done.stdout.splitlines() if line.split(":")[0] in files]
    assert len(files) == 5
    assert found == []
    assert not done.stderr


def test_pyright_is_content(typed: Path) -> None:
    """In its strict mode."""
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
    (typed / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "--project", str(typed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 5
    assert [problem for problem in report["generalDiagnostics"] if problem["severity"] == "error"] == []
