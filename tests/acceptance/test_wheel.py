"""The wheel, as somebody gets it who has no repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD_SECONDS_MAX = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built here, by the backend that builds releases."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_only_saga_becomes_importable(wheel: Path) -> None:
    """`services` and `contracts` are data inside the package; SQL, types and the README travel along."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"saga", "saga_engine-0.1.0.dist-info"}
    assert {
        "saga/py.typed",
        "saga/demo/bundle/contracts/payments.py",
        "saga/demo/bundle/services/payments/migrations/0001_tables.sql",
        "saga/adapters/sqlite/migrations/engine/0001_journal.sql",
    } <= set(names)
    metadata = zipfile.ZipFile(wheel).read("saga_engine-0.1.0.dist-info/METADATA").decode()
    assert "make demo" in metadata


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the demo plays with the services that the wheel carries."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere.mkdir()
    # The names of a user's own code must not get in the way of the bundle.
    (elsewhere / "services.py").write_text("raise RuntimeError('this is the user, not the demo')\n")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = [sys.executable, "-c", "from saga.demo import reference; print(reference.folder())"]
    found = subprocess.run(
        where, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert Path(found.stdout.strip()) == site / "saga" / "demo" / "bundle"
    shown = subprocess.run(
        [sys.executable, "-m", "saga.cli", "demo", "--state", str(tmp_path / "state")],
        cwd=elsewhere,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 charge of 42.00" in shown.stdout
