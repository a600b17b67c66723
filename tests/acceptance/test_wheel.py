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


def demo(site: Path, folder: Path, *name: str) -> subprocess.CompletedProcess[str]:
    """Run the demo of an unpacked wheel, from a folder where a user's own code has a name the demo uses too."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "services.py").write_text("raise RuntimeError('this is the user, not the demo')\n")
    return subprocess.run(
        [sys.executable, "-m", "saga.cli", "demo", *name, "--state", str(folder / "state")],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the demo plays with the services that the wheel carries."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    shown = demo(site, tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 charge of 42.00" in shown.stdout


@pytest.mark.parametrize(("name", "told"), [
    ("customer-onboarding", "customers: 1 account open"),
    ("hr-onboarding", "accounts: 1 account open"),
    ("agency-outreach", "documents: 1 made, 1 kept; drafting: 1 draft"),
])  # fmt: skip
def test_another_process_runs_from_the_wheel(wheel: Path, tmp_path: Path, name: str, told: str) -> None:
    """Its services, contracts and tables travel along as well."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    shown = demo(site, tmp_path, name)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert told in shown.stdout


def test_the_demo_shows_a_changed_service_and_fails_for_a_wrong_one(wheel: Path, tmp_path: Path) -> None:
    """With a service that answers otherwise the timeline is another one; one that charges twice fails the demo."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    handlers = site / "saga" / "demo" / "bundle" / "services" / "payments" / "handlers.py"
    record = '    await EFFECTS.record(ctx, "do", subject=cmd.order_id, detail=f"{claim.id} {claim.amount_cents}")\n'
    source = handlers.read_text().replace("ch_{uuid4().hex}", "changed_{uuid4().hex}").replace(record, record * 2, 1)
    handlers.write_text(source)
    shown = demo(site, tmp_path)
    assert "charge_id changed_" in shown.stdout
    assert "✗ payments: 2 charge" in shown.stdout
    assert shown.returncode == 1
    assert "the ledgers do not say what was shown" in shown.stderr
