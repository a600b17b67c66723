"""What people type while very many sagas wait: how long each command takes."""

import os
import subprocess
import time

import msgspec

from tests.bench.stage import ROOT, environment, python

REPEATS = 3
SECONDS_MAX = 120
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("list",),
    ("list", "--status", "parked"),
    ("list", "--status", "parked", "--status", "compensating"),
    ("list", "--wait-kind", "approval"),
    ("list", "--wait-kind", "timer"),
    ("list", "--name", "bench", "--status", "running"),
    ("list", "--name", "bench", "--wait-kind", "approval"),
    ("list", "--tag", "city=Rome"),
    ("list", "--since", "24", "--limit", "1000"),
    ("approvals", "list"),
    ("approvals", "list", "--name", "letter", "--limit", "1000"),
    ("approvals", "list", "--name", "bench"),
    ("show", "letter/w1-7"),
    ("approvals", "show", "letter/w1-7", "review"),
    ("doctor",),
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command and the median of its times."""

    command: str
    seconds: float
    exit_code: int


def ask_all(store: str, amqp: str) -> list[Asked]:
    """Every command, as processes of their own."""
    return [_ask(command, store, amqp) for command in COMMANDS]


def _ask(command: tuple[str, ...], store: str, amqp: str) -> Asked:
    took: list[float] = []
    codes: set[int] = set()
    for _ in range(REPEATS):
        begun = time.monotonic()
        ended = subprocess.run(
            python("saga.cli", "--store", store, "--amqp", amqp, *command),
            cwd=ROOT, env={**environment(), "SAGA_CONFIG": os.devnull}, stdout=subprocess.DEVNULL, timeout=SECONDS_MAX,
            stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        took.append(time.monotonic() - begun)
        codes.add(ended.returncode)
    return Asked(command=f"saga {' '.join(command)}", seconds=round(sorted(took)[REPEATS // 2], 2),
                 exit_code=max(codes))  # fmt: skip
