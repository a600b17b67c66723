"""The how-to guides, executed as printed against a real broker and a real database."""

import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.acceptance.pages import ROOT, blocks, commands, environment
from tests.acceptance.test_readme import SECONDS_MAX
from tests.acceptance.walkthrough import matches
from tests.servers import PostgresServer, PrivateRabbit

DEPLOY = "docs/how-to/deploy.md"
CALL = "docs/how-to/call-from-any-language.md"
STORE, BROKER, PROCESSES, CALLER = blocks(DEPLOY, "sh")
DATABASES = ("saga", "hotel", "airline")
SUBSCRIBE = "docs/how-to/subscribe-to-events.md"
LOAD = "docs/how-to/put-load-on-it.md"
SHORT_LINES_MAX = 30


class Shell:
    """A folder in which a guide is followed, with the addresses it prints replaced by real ones."""

    def __init__(self, folder: Path, rabbit: PrivateRabbit, postgres: PostgresServer, names: dict[str, str]) -> None:
        self.folder = folder
        self._databases = {name: postgres.dsn_of(names[name]) for name in DATABASES}
        self._rabbit = f"{rabbit.host}:{rabbit.port}"
        self._ctl = rabbit.ctl

    def real(self, text: str) -> str:
        """The text with addresses that exist here."""
        for name, dsn in self._databases.items():
            text = text.replace(f"postgres://postgres@db.example:5432/{name}", dsn)
        return text.replace("rabbit.example:5672", self._rabbit)

    def import_definitions(self, block: str) -> None:
        """Follow a block that makes `broker.json`, whose last command is run on the broker's machine."""
        first, last = block.rsplit("\n", 2)[0], commands(block)[-1]
        assert last == "rabbitmqctl import_definitions broker.json"
        self.type(f"{commands(STORE)[0]}\n{first}")
        self._ctl("import_definitions", str(self.folder / "broker.json"))

    def type(self, block: str) -> str:
        """Follow a block; returns what was printed."""
        done = subprocess.run(
            ["bash", "-ec", self.real(block)],
            cwd=self.folder,
            env=environment(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Shell]:
    """Steps 1 to 3 of the deploy guide, followed; its processes run."""
    folder = tmp_path_factory.mktemp("deployed")
    (code,) = blocks("README.md", "python")
    (folder / "trip.py").write_text(code)
    names = {name: f"guides_{name}_{secrets.token_hex(3)}" for name in DATABASES}
    for name in names.values():
        postgres.create_database(name)
    processes: list[subprocess.Popen[bytes]] = []
    with PrivateRabbit() as rabbit:
        shell = Shell(folder, rabbit, postgres, names)
        shell.type(STORE)
        shell.import_definitions(BROKER)
        store = commands(STORE)[0]
        try:
            with (folder / "processes.log").open("wb") as log:
                processes += [
                    subprocess.Popen(
                        ["bash", "-c", f"{shell.real(store)}; export SAGA_STORE; {_in_place(shell.real(line))}"],
                        cwd=folder,
                        env=environment(folder),
                        stdout=log,
                        stderr=log,
                    )
                    for line in commands(PROCESSES)
                ]
            _wait_until_started(processes, folder / "processes.log")
            yield shell
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(40)
    for name in names.values():
        postgres.drop_database(name)


def _in_place(line: str) -> str:
    """`A=b saga …  &` as a shell that becomes that process."""
    setting, command = line.removesuffix("&").split(" ", 1)
    return f"export {setting}; exec {command}"


def _wait_until_started(processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    until = time.monotonic() + SECONDS_MAX
    while log.read_text().count(" started") < len(processes):
        assert all(process.poll() is None for process in processes), log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


@pytest.mark.timeout(240)
def test_the_guides_work_as_printed(deployed: Shell) -> None:
    """A trip goes through as deployed; then bare AMQP callers start, repeat, contradict, signal, cancel and load."""
    printed = deployed.type(f"{commands(STORE)[0]}\n{CALLER}")
    assert msgspec.json.decode(printed.splitlines()[0])["status"] == "completed"

    setting = commands(CALLER)[0]
    short, code = blocks(CALL, "python")
    _thirty_lines(deployed, setting, short)
    _the_whole_of_it(deployed, setting, code)
    _load(deployed, setting)


def _thirty_lines(deployed: Shell, setting: str, code: str) -> None:
    """The caller that asks once."""
    assert code.count("\n") - code.count("\n\n") <= SHORT_LINES_MAX
    (deployed.folder / "start.py").write_text(code)
    (command,) = re.findall(r"`(python start\.py .+?)`", (ROOT / CALL).read_text())
    heard = deployed.type(f"{setting}\n{command}").splitlines()
    assert [line.split()[0] for line in heard] == ["saga.accepted.v1", "saga.ended.v1"]
    assert msgspec.json.decode(heard[1].split(" ", 1)[1])["status"] == "completed"


def _the_whole_of_it(deployed: Shell, setting: str, code: str) -> None:
    """The caller that repeats, contradicts itself and cancels."""
    (deployed.folder / "caller.py").write_text(code)
    (command,) = re.findall(r"`(python caller\.py .+?)`", (ROOT / CALL).read_text())
    said = deployed.type(f"{setting}\n{command}").splitlines()
    answers = [(line.split(" ", 1)[0], msgspec.json.decode(line.split(" ", 1)[1])) for line in said]
    (wanted,) = blocks(CALL, "text")
    assert [kind for kind, _ in answers] == [line.split()[0] for line in wanted.splitlines()]
    (_, accepted), (_, ended), (_, again), (_, other), (_, told), (_, late) = answers
    assert ended == {"saga": accepted["saga"], "status": "completed", "output": {"room": 101, "seat": "7A"}}
    assert (again["saga"], again["existing"]) == (accepted["saga"], True)
    assert other["code"]
    assert told["code"] == late["code"] == "ended"


def _load(deployed: Shell, setting: str) -> None:
    """The load driver: every saga it started has ended."""
    (code,), (command,), (wanted,) = (blocks(LOAD, language) for language in ("python", "sh", "text"))
    (deployed.folder / "load.py").write_text(code)
    shown = deployed.type(f"{setting}\n{command}")
    assert matches(shown, wanted), shown


@pytest.mark.timeout(240)
def test_the_subscriber_hears_as_printed(deployed: Shell) -> None:
    """A user of its own with the rights of a subscriber, a bare AMQP client, and a trip from its start to its end."""
    user, listen = blocks(SUBSCRIBE, "sh")
    (code,), (wanted,) = (blocks(SUBSCRIBE, language) for language in ("python", "text"))
    (started,) = re.findall(r"`(saga start .+?)`", (ROOT / SUBSCRIBE).read_text())
    deployed.import_definitions(user)
    (deployed.folder / "subscriber.py").write_text(code)
    setting, command = (deployed.real(line) for line in commands(listen))
    subscriber = subprocess.Popen(
        ["bash", "-c", f"{setting}; exec {command}"],
        cwd=deployed.folder,
        env=environment(deployed.folder),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert subscriber.stdout is not None
        said = [subscriber.stdout.readline()]
        deployed.type(f"{commands(STORE)[0]}\n{commands(CALLER)[0]}\n{started}")
        said += [subscriber.stdout.readline() for _ in wanted.splitlines()[1:]]
        assert "".join(said) == wanted
    finally:
        subscriber.terminate()
        subscriber.communicate(timeout=20)
