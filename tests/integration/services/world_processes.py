"""The carrier and the mail sink as the processes they are in life."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[3]
STOP_SECONDS_MAX = 10


class WorldProcess(NamedTuple):
    """A running process and where it listens."""

    process: subprocess.Popen[str]
    host: str
    port: int

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)


@contextmanager
def running(program: str, books: Path, *options: str) -> Iterator[WorldProcess]:
    """Start `services.world.<program>` on a free port and stop it at the end."""
    command = [sys.executable, "-m", f"services.world.{program}", "--port", "0", "--books", str(books), *options]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:3] == [program, "ready", "on"]
        address = urlsplit(words[3])
        assert address.hostname is not None
        assert address.port is not None
        yield WorldProcess(process, address.hostname, address.port)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS_MAX)
        if process.stdout is not None:
            process.stdout.close()
