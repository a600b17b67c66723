"""The AsyncAPI document in the repository: fresh, and valid for the parser everybody uses."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.node import NodeMissing, project

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "contracts" / "asyncapi.json"
TITLE = "Reference services"
MODULES = (
    "contracts.inventory",
    "contracts.payments",
    "contracts.shipping",
    "contracts.notifications",
    "contracts.customers",
    "contracts.provisioning",
    "contracts.mailboxes",
    "contracts.accounts",
    "contracts.workplace",
    "contracts.research",
    "contracts.documents",
    "contracts.drafting",
    "contracts.contacts",
    "services.ordering.definitions",
    "services.onboarding.definitions",
    "services.hr.definitions",
    "services.outreach.definitions",
)


def test_the_document_is_fresh() -> None:
    """Contracts, definition or wire changed: then it is written again, with the command that the error names."""
    done = _saga("--check", str(DOCUMENT))
    assert done.returncode == 0, done.stderr


def test_a_stale_document_is_told(tmp_path: Path) -> None:
    """Exit code 1, and the command that repairs it, which does."""
    stale = tmp_path / "asyncapi.json"
    stale.write_bytes(DOCUMENT.read_bytes().replace(b"payments", b"payment", 1))
    done = _saga("--check", str(stale))
    assert done.returncode == 1
    fix = f"fix: saga contracts asyncapi {' '.join(MODULES)} --title '{TITLE}' --write {stale}"
    assert fix in " ".join(done.stderr.split())
    assert _saga("--write", str(stale)).returncode == 0
    assert stale.read_bytes() == DOCUMENT.read_bytes()


def test_a_module_without_contracts_is_told() -> None:
    """What is missing, and the fix."""
    done = _saga(modules=("contracts",))
    assert done.returncode == 2
    assert "SAGA-2006 contracts: no command in there" in done.stderr


@pytest.mark.timeout(400)
def test_the_official_parser_finds_nothing_to_say(tmp_path: Path) -> None:
    """Neither an error nor a hint."""
    try:
        node = project(ROOT / "tests" / "asyncapi", tmp_path)
    except NodeMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    command = [node.node, str(tmp_path / "validate.mjs"), str(DOCUMENT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert msgspec.json.decode(done.stdout) == {"valid": True, "diagnostics": []}


@pytest.mark.timeout(400)
def test_the_official_parser_would_find_a_mistake(tmp_path: Path) -> None:
    """A channel that is neither queue nor routing key is refused: the validation is no formality."""
    try:
        node = project(ROOT / "tests" / "asyncapi", tmp_path)
    except NodeMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(DOCUMENT.read_bytes().replace(b'"is": "routingKey"', b'"is": "mailbox"', 1))
    command = [node.node, str(tmp_path / "validate.mjs"), str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert msgspec.json.decode(done.stdout)["valid"] is False


def _saga(*arguments: str, modules: tuple[str, ...] = MODULES) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "saga.cli", "contracts", "asyncapi", *modules, "--title", TITLE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
