"""`saga demo` as a user runs it."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
DEMO_SECONDS_MAX = 60
LINE = re.compile(r"^ +\d+\.\d{3}s  ", re.MULTILINE)
COMMAND = [sys.executable, "-m", "saga.cli"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Off a terminal, from the root of the repository."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS_MAX,
        check=False,
    )


def test_the_demo_shows_what_is_stored(tmp_path: Path) -> None:
    """Exit code 0, plain text, three sagas, a line for each stored event and no other, and every ledger agrees."""
    shown = run("demo", "--state", str(tmp_path / "state"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout
    assert "✗ payments" not in shown.stdout
    connection = sqlite3.connect(tmp_path / "state" / "saga.sqlite")
    commits = connection.execute("select data from history").fetchall()
    statuses = [status for (status,) in connection.execute("select status from sagas order by id")]
    connection.close()
    assert statuses == ["completed", "compensated", "completed"]
    assert len(LINE.findall(shown.stdout)) == sum(len(msgspec.json.decode(data)) for (data,) in commits)
    assert "the charge ran 2 times; the payments ledger has 1 charge of 42.00" in shown.stdout
    assert "undone: charge, then reserve: the newest first" in shown.stdout


def test_the_commands_it_ends_with_work(tmp_path: Path) -> None:
    """What is printed to be typed next can be typed."""
    shown = run("demo", "--state", str(tmp_path / "state"))
    commands = [line.split()[1:] for line in shown.stdout.splitlines() if " --store sqlite:///" in line]
    assert [arguments[2] for arguments in commands] == ["list", "show", "history"]
    for arguments in commands:
        looked = run(*arguments)
        assert looked.returncode == 0, looked.stderr
        assert looked.stdout


def test_the_demo_plays_over_real_servers(tmp_path: Path, vhost: str, database: str) -> None:
    """The same three acts over RabbitMQ and PostgreSQL, each part a process of its own."""
    shown = run("demo", "--state", str(tmp_path / "state"), "--amqp", vhost, "--postgres", database)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    names = ["carrier", "mailsink", "inventory", "payments", "shipping", "notifications", "orchestrator"]
    assert re.findall(r"([a-z]+) \d+", shown.stdout.splitlines()[0]) == names
    assert "the charge ran 2 times; the payments ledger has 1 charge of 42.00" in shown.stdout


def test_a_demo_over_half_of_the_servers_is_refused() -> None:
    """RabbitMQ without PostgreSQL is a mistake that is named."""
    refused = run("demo", "--amqp", "amqp://guest:guest@127.0.0.1/nowhere")
    assert refused.returncode == 2
    assert "--amqp and --postgres go together" in refused.stderr


@pytest.mark.timeout(90)
def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    """Interrupted in the middle, the demo ends soon and so do its processes; the folder is free again."""
    state = tmp_path / "state"
    demo = subprocess.Popen(
        [*COMMAND, "demo", "--state", str(state)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background has SIGINT ignored, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads are running here
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "reserve" in line:
            break
    child = int((state / "lock").read_text())
    demo.send_signal(2)
    demo.communicate(timeout=20)
    assert demo.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
