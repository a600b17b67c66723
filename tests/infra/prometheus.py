"""A real Prometheus with our configuration: its own targets, and seconds where there are a quarter of a minute."""

import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.infra.files import INFRA, tool
from tests.servers.binaries import free_port
from tests.servers.process import ServerProcess

START_SECONDS = 60
POLL_SECONDS = 0.1


class Sample(msgspec.Struct, frozen=True):
    """One series of an answer."""

    labels: dict[str, str]
    value: float


class PrivatePrometheus:
    """On a free port, with its data in the folder; scrapes the targets once a second."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{free_port()}"
        for name in ("prometheus.yml", "alerts.yml"):
            text = (INFRA / "prometheus" / name).read_text()
            (folder / name).write_text(text.replace("15s", "1s") if name == "prometheus.yml" else text)
        (folder / "targets.yml").write_text(json.dumps([{"targets": list(targets)}]))
        self._process: ServerProcess | None = None

    def __enter__(self) -> Self:
        command = [
            tool("prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
        ]
        self._process = ServerProcess(command, folder=self._folder, env=dict(os.environ))
        self._process.wait_until(self._ready, seconds=START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill9()

    def ask(self, place: str, **given: str) -> Any:
        """`data` of what its HTTP API answers. Raises HTTPError when it refuses, with a body that says why."""
        query = urllib.parse.urlencode(given)
        with urllib.request.urlopen(f"{self._url}/api/v1/{place}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        """An instant vector."""
        return [
            Sample(each["metric"], float(each["value"][1])) for each in self.ask("query", query=expression)["result"]
        ]

    def until(self, expression: str, true: Callable[[list[Sample]], object], *, seconds: float = 60) -> list[Sample]:
        """Poll an expression. Raises TimeoutError with what it said last."""
        deadline = time.monotonic() + seconds
        while not true(found := self.query(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expression}: {found}")
            time.sleep(POLL_SECONDS)
        return found

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
