"""`make test-docker` where it cannot run: it says what is missing and does not pass."""

import os
import subprocess
import sys
from pathlib import Path

from tests.infra.files import ROOT

REFUSED = 2


def ran(**env: str) -> subprocess.CompletedProcess[str]:
    """The whole program, in another environment."""
    command = [sys.executable, "-m", "tests.infra.stack"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=90, check=False
    )


def test_without_docker_it_says_so(tmp_path: Path) -> None:
    """Nothing is in PATH."""
    done = ran(PATH=str(tmp_path))
    assert done.returncode == REFUSED
    assert "there is no docker command" in done.stderr


def test_without_an_engine_it_says_so(tmp_path: Path) -> None:
    """The client is often installed without one."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\nexit 0\n")
    client.chmod(0o755)
    done = ran(PATH=str(tmp_path), DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    assert done.returncode == REFUSED
    assert "no Docker engine answers" in done.stderr
