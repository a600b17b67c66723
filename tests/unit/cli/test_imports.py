"""What a command imports is what its user waits for: the list is kept short. Numbers of modules, never of seconds."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
RUN = """
import atexit, sys
sys.argv = {arguments!r}
atexit.register(lambda: print("\\n", *sys.modules))
from saga.cli.main import main
main()
"""
HELP_MODULES_MAX = 15
"""Of ours."""
LIST_MODULES_MAX = 70


def imported(*arguments: str) -> set[str]:
    """Modules that a command has imported when it ends, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(arguments=["saga", *arguments])],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return set(done.stdout.splitlines()[-1].split())


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_help_imports_next_to_nothing() -> None:
    """No codec, no event loop, no client; of ours only the root command."""
    modules = imported("--help")
    assert packages(modules) & {"msgspec", "asyncio", "asyncpg", "aio_pika", "opentelemetry", "sqlite3", "ssl"} == set()
    assert len([module for module in modules if module.startswith("saga")]) <= HELP_MODULES_MAX


def test_a_list_imports_the_store_and_no_engine() -> None:
    """Neither what decides, nor what publishes, nor what draws a trace."""
    modules = imported("--store", "postgres://nobody@127.0.0.1:1/none", "list")
    assert packages(modules) & {"aio_pika", "aiormq", "pamqp", "opentelemetry", "sqlite3", "yarl"} == set()
    ours = {module for module in modules if module.startswith("saga")}
    assert "saga.adapters.postgres.store" in ours
    for left_out in ("saga.engine", "saga.define", "saga.participant", "saga.client", "saga.bootstrap", "saga.wire"):
        assert left_out not in ours
    assert "saga.core.decide" not in ours
    assert "saga.core.spans.tracing" not in ours
    assert len(ours) <= LIST_MODULES_MAX, sorted(ours)


def test_completing_a_command_imports_no_command() -> None:
    """Its name and help are known without it."""
    modules = imported("completion", "zsh")
    assert not any(module in modules for module in ("saga.cli.sagas", "saga.cli.doctor", "saga.cli.demo", "msgspec"))
