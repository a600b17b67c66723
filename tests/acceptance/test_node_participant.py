"""A participant in Node.js with a bare AMQP client keeps every rule, and the page about it works as printed."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from saga.conform import RULES, Target
from tests.acceptance.pages import ROOT, blocks, environment
from tests.acceptance.service import Service, declared, not_kept, tried
from tests.acceptance.test_readme import SECONDS_MAX
from tests.node import Node, NodeMissing, project
from tests.servers import PrivateRabbit
from tests.servers.process import ServerProcess

SAMPLE = ROOT / "tests" / "acceptance" / "node"
PAGE = "docs/how-to/participant-in-any-language.md"
WIRE = "docs/reference/wire.md"
LOYALTY = Target(
    command="loyalty.AwardPoints.v1",
    body=b'{"customer": "$UNIQUE", "points": 5}',
    undo="loyalty.RevokePoints.v1",
    undo_body=b'{"customer": "$UNIQUE", "points": 5}',
    declined_body=b'{"customer": "closed-$UNIQUE", "points": 5}',
    patience=timedelta(seconds=2),
)
UNREADABLE = {"not-json", "bad-utf8", "nul", "missing-headers"}
REPLAYED = {
    "same-attempt", "next-attempt", "other-bytes", "at-once", "expired-known", "restart", "undo-again", "undo-race",
}  # fmt: skip
PREPARE, TRIED, CONFORM, PUBLISH, SERVED, RUN, START = blocks(PAGE, "sh")

# What somebody writes instead, and the rules it breaks.
FLAWS = {
    "no user_id": ("userId: USER", "", {"user-id"}),
    "numbers as numbers": (
        'headers["saga-code"] = code;',
        'headers["saga-code"] = code; headers["saga-attempt"] = 1 * properties.headers["saga-attempt"];',
        {"header-strings", "echo"},
    ),
    "attempt not named": ('"saga-in-reply-to": properties.messageId', '"saga-in-reply-to": ""', {"echo"}),
    "inbox in memory": ("  writeSync(log,", "  void (", {"restart"}),
    "bad UTF-8 made good": ("fatal: true", "fatal: false", {"bad-utf8"}),
    "bytes compared by meaning": ("`${type} ${text}`", "`${type} ${JSON.stringify(command)}`", {"bytes-as-sent"}),
    "key compared without bytes": (
        "known && known.hash !== hash",
        "false",
        {"other-bytes", "bytes-as-sent", "other-command"},
    ),
    "no tombstone": (
        ', { key: headers["saga-undoes"], outcome: "cancelled" });',
        ");",
        {"late-action", "undo-race", "restart"},
    ),
    "forgotten is nothing": (' && headers["saga-undoes-outcome"] !== "ok"', "", {"undo-forgotten"}),
    "expiry before memory": (
        "if (known?.outcome",
        'if (headers["saga-expires-at"] < new Date().toISOString()) return refused("expired"); if (known?.outcome',
        {"expired-known"},
    ),
    "says applied again": ('"none" : "replayed"', '"none" : "applied"', REPLAYED),
    "not set aside": ("await publish(...parked(message, found))", "", UNREADABLE),
}

pytestmark = pytest.mark.timeout(400)  # npm fetches the client once


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Node.js, and in the folder of the test the sample with its packages as locked."""
    try:
        return project(SAMPLE, tmp_path)
    except NodeMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
async def loyalty(vhost: str, tmp_path: Path, node: Node) -> AsyncIterator[Service]:
    """The sample, serving."""
    await declared(vhost, "loyalty")
    service = Service([node.node, str(tmp_path / "participant.mjs")], tmp_path, AMQP_URL=vhost)
    yield service.start()
    service.close()


async def test_it_keeps_every_rule(vhost: str, loyalty: Service) -> None:
    """Also over a kill -9: nothing is left untried."""
    findings = await tried(vhost, LOYALTY, loyalty.restart)
    assert not_kept(findings) == {}
    assert len(findings) == len(RULES)


async def test_a_line_that_a_crash_cut_off_is_forgotten(vhost: str, loyalty: Service, tmp_path: Path) -> None:
    """It was never answered; what stands before it is still known, and what is written after it can be read."""
    await tried(vhost, LOYALTY)
    loyalty.close()
    inbox = tmp_path / "loyalty.jsonl"
    whole = inbox.read_bytes()
    inbox.write_bytes(whole + b'[{"key": "half')
    await loyalty.restart()
    assert not_kept(await tried(vhost, LOYALTY, loyalty.restart)) == {}
    assert inbox.read_bytes().startswith(whole)
    assert all(msgspec.json.decode(line) for line in inbox.read_bytes().splitlines())


@pytest.mark.parametrize(("right", "wrong", "broken"), FLAWS.values(), ids=FLAWS)
async def test_a_flaw_in_it_is_found(
    right: str, wrong: str, broken: set[str], vhost: str, tmp_path: Path, node: Node
) -> None:
    """One slip of the pen in the sample, on a real broker: found under the rules it breaks, and no other is blamed."""
    script = tmp_path / "participant.mjs"
    text = script.read_text()
    assert text.count(right) == 1
    script.write_text(text.replace(right, wrong))
    await declared(vhost, "loyalty")
    service = Service([node.node, str(script)], tmp_path, AMQP_URL=vhost)
    try:
        service.start()
        findings = await tried(vhost, LOYALTY, service.restart)
    finally:
        service.close()
    assert set(not_kept(findings)) == broken, not_kept(findings)


def test_the_page_prints_what_is_tried() -> None:
    """The sample, the contract and the rules are those of the files, to the letter."""
    assert blocks(PAGE, "js") == [(SAMPLE / "participant.mjs").read_text()]
    assert blocks(PAGE, "python") == [(SAMPLE / "loyalty.py").read_text()]
    assert _duties(ROOT / PAGE, "## The rules, in this order") == _duties(ROOT / WIRE, "## Participant")
    assert blocks(PAGE, "text")[0] == f"{len(RULES)} kept, 0 broken, 0 untried\n"


class Shell:
    """The reader's folder and terminals, with the address on the page replaced by a real one."""

    def __init__(self, folder: Path, rabbit: PrivateRabbit, node: Node) -> None:
        self.folder = folder
        self._address = f"{rabbit.host}:{rabbit.port}"
        self._env = environment(folder)
        self._terminals: list[ServerProcess] = []
        self._command("node", [node.node])
        self._command("npm", ["true"])  # the packages are there, as locked
        ctl = [f"{name}={value}" for name, value in rabbit._env.items()]
        self._command("rabbitmqctl", ["env", "-i", *ctl, str(rabbit.binaries / "rabbitmqctl"), "-q"])

    def type(self, block: str) -> subprocess.CompletedProcess[str]:
        """Follow a block."""
        return subprocess.run(
            ["bash", "-ec", self._real(block)],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def open(self, block: str) -> None:
        """Follow a block in a terminal of its own, and wait until what it starts has started."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        terminal = ServerProcess(["bash", "-c", f"cd ..\n{self._real(block)}"], folder=folder, env=self._env)
        self._terminals.append(terminal)
        terminal.wait_until(lambda: "started" in terminal.log.read_text(), seconds=SECONDS_MAX)

    def close(self) -> None:
        """Close every terminal."""
        for terminal in self._terminals:
            terminal.kill9()
        self._terminals = []

    def _real(self, block: str) -> str:
        return block.replace("rabbit.example:5672", self._address)

    def _command(self, name: str, command: list[str]) -> None:
        script = self.folder / "commands" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)


@pytest.fixture
def shell(tmp_path: Path, node: Node) -> Iterator[Shell]:
    """A folder with what the page prints, and a broker."""
    (tmp_path / "participant.mjs").write_text(blocks(PAGE, "js")[0])
    (tmp_path / "loyalty.py").write_text(blocks(PAGE, "python")[0])
    with PrivateRabbit() as rabbit:
        opened = Shell(tmp_path, rabbit, node)
        yield opened
        opened.close()


def test_the_page_works_as_printed(shell: Shell) -> None:
    """The participant is tried, killed, and takes part in sagas that complete and are undone."""
    prepared = shell.type(PREPARE)
    assert prepared.returncode == 0, prepared.stderr
    shell.open(TRIED)
    conformed = shell.type(CONFORM)
    assert conformed.stdout.endswith(blocks(PAGE, "text")[0]), conformed.stdout + conformed.stderr
    assert conformed.returncode == 0
    shell.close()

    published = shell.type(PUBLISH)
    assert published.returncode == 0, published.stderr
    shell.open(SERVED)
    shell.open(RUN)
    started = shell.type(START)
    printed = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", started.stdout)
    assert printed == blocks(PAGE, "text")[1], started.stderr
    lines = (shell.folder / "loyalty.jsonl").read_text().splitlines()
    moved = [(row["customer"], row["points"]) for line in lines for row in msgspec.json.decode(line) if "points" in row]
    assert moved == [("ann", 50), ("bob", 100), ("cleo", 50), ("cleo", -50)]


def _duties(page: Path, heading: str) -> str:
    """The numbered list under a heading."""
    section = page.read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return section[section.index("1. ") :].strip()
