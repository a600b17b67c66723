"""What the benchmarks count as whose CPU."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from tests.bench import orders

BUSY = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"


def test_the_caller_is_not_charged_for_what_it_started() -> None:
    """Neither for processes that run nor for those that have ended: these are the servers of this town and the last."""
    town: Any = SimpleNamespace(fleet=SimpleNamespace(members={}))
    running, ended = (
        subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    )
    town.rabbit, town.postgres = running, ended
    try:
        before = orders._cpu(town)
        for process in (running, ended):
            assert process.stdout is not None
            process.stdout.readline()
        while_both_run = orders._cpu(town)
    finally:
        ended.communicate(b"\n")
        after = orders._cpu(town)
        running.communicate(b"\n")
    busy = while_both_run["rabbitmq"] - before["rabbitmq"]
    assert busy > 0
    assert while_both_run["caller"] - before["caller"] < busy
    assert after["caller"] - before["caller"] < busy
