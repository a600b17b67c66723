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

from saga.demo.play import ACTS
from saga.demo.reference import PIECES

ROOT = Path(__file__).parents[2]
DEMO_SECONDS_MAX = 110  # seconds of a machine on which much else runs; alone it takes a tenth
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


def assert_every_event_is_shown(state: Path, stdout: str, wanted: list[str]) -> None:
    """A line for each stored event and no other; and the sagas ended like this, in the order of their starts."""
    connection = sqlite3.connect(state / "saga.sqlite")
    commits = connection.execute("select data from history").fetchall()
    statuses = [status for (status,) in connection.execute("select status from sagas order by id")]
    connection.close()
    assert statuses == wanted
    assert len(LINE.findall(stdout)) == sum(len(msgspec.json.decode(data)) for (data,) in commits)


def test_the_demo_shows_what_is_stored(tmp_path: Path) -> None:
    """Exit code 0, plain text, three sagas, a line for each stored event and no other, and every ledger agrees."""
    shown = run("demo", "--state", str(tmp_path / "state"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout
    assert "✗ payments" not in shown.stdout
    assert_every_event_is_shown(tmp_path / "state", shown.stdout, ["completed", "compensated", "completed"])
    assert "the charge ran 2 times; the payments ledger has 1 charge of 42.00" in shown.stdout
    assert "undone: charge, then reserve: the newest first" in shown.stdout


def test_every_process_can_be_shown(tmp_path: Path) -> None:
    """A customer: branches are named, undone side by side, and a machine that nobody heard of is not started twice."""
    shown = run("demo", "customer-onboarding", "--state", str(tmp_path / "state"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert_every_event_is_shown(tmp_path / "state", shown.stdout, ["completed", "compensated", "completed"])
    assert "→ infrastructure/machine provisioning.StartMachine" in shown.stdout
    assert "undone in the branches: machine, then network; beside them mailbox" in shown.stdout
    assert "the cloud was asked 1 more time for what it had made, and made 1 machine" in shown.stdout


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


def test_a_customer_is_taken_on_over_real_servers(tmp_path: Path, vhost: str, database: str) -> None:
    """The cloud and five services, each a process; provisioning is the one that is killed."""
    state = str(tmp_path / "state")
    shown = run("demo", "customer-onboarding", "--state", state, "--amqp", vhost, "--postgres", database)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    names = re.findall(r"([a-z]+) \d+", shown.stdout.splitlines()[0])
    assert {"cloud", "customers", "provisioning", "mailboxes", "orchestrator"} <= set(names)
    assert "the process of provisioning; the machine runs, its answer is lost" in shown.stdout
    assert "the cloud was asked 1 more time for what it had made, and made 1 machine" in shown.stdout


def test_a_demo_over_half_of_the_servers_is_refused() -> None:
    """RabbitMQ without PostgreSQL is a mistake that is named."""
    refused = run("demo", "--amqp", "amqp://guest:guest@127.0.0.1/nowhere")
    assert refused.returncode == 2
    assert "--amqp and --postgres go together" in refused.stderr


def test_the_names_are_listed_and_a_wrong_one_is_refused() -> None:
    """What there is to be seen, in a line each; a name that is none is refused with those that are."""
    listed = run("demo", "--list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(PIECES) == list(ACTS)
    refused = run("demo", "nonsense")
    assert refused.returncode == 2
    assert f"fix: one of {', '.join(PIECES)}" in " ".join(refused.stderr.split())


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
